# Sourced by scripts that run Prometheus or its tools: unpacks Debian's package into the cache, once. Nothing is installed.
# Behind it, `home/usr/bin` has `prometheus` and `promtool`.

name=prometheus
need apt-get dpkg-deb

fill() {
    (cd "$1" && apt-get download prometheus && dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb)
}
installed fill "$(dirname "${BASH_SOURCE[0]}")/install.sh"
