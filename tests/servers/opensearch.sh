#!/usr/bin/env bash
# A real OpenSearch server, one node, plain HTTP on the loopback address, without the security plugin. Its data are gone when it
# ends, unless OPENSEARCH_HOME is a folder for them.

. "$(dirname "$0")/serve.sh"
need java javac mvn

fill() {
    mvn --batch-mode --no-transfer-progress --file "$here/opensearch/pom.xml" \
        org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DoutputDirectory="$1/lib" &&
        javac -proc:none -cp "$1/lib/*" -d "$1/classes" "$here/opensearch/OpenSearch.java"
}
installed fill "$here/opensearch/pom.xml" "$here/opensearch/OpenSearch.java"

# Serial collection and the first compiler stage: a short life with little memory is better served without the others.
data=${OPENSEARCH_HOME:-$scratch}
mkdir -p "$data/config"
serve '/_cluster/health?wait_for_status=yellow' java -Xms512m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
    -cp "$home/classes:$home/lib/*" OpenSearch "$data" "$port"
