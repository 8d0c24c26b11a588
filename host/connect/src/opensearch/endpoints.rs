//! The servers that take the requests of a sink, any of them. One that does not answer is left out for a while; then one request
//! tries it (passive health).

use super::settings::{Auth, Settings};
use crate::aws::CachedCredentials;
use opensearch::auth::Credentials;
use opensearch::cert::{Certificate, CertificateValidation};
use opensearch::http::transport::{SingleNodeConnectionPool, Transport, TransportBuilder};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use url::Url;
use wasmill_stream::access::WayOut;
use wasmill_stream::{Error, Result};

/// A request that takes longer is given up and sent again.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Connections are made anew after this time, so that names are resolved and certificates seen again.
const AGE: Duration = Duration::from_secs(10 * 60);
/// For how long a server is left out after a failure. It doubles with each one in a row.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// The servers.
pub struct Endpoints {
    all: Vec<Endpoint>,
    way: Way,
    state: Mutex<State>,
}

/// One of them.
struct Endpoint {
    url: Url,
    /// For messages.
    address: String,
}

/// How every one of them is reached.
struct Way {
    way_out: Option<WayOut>,
    credentials: Option<(Credentials, String)>,
    /// The chain behind them, if they are those of AWS.
    chain: Option<CachedCredentials>,
    /// Certificates to trust: where they were read, and what that says.
    ca: Option<(String, Vec<u8>)>,
}

struct State {
    /// By number.
    health: Vec<Health>,
    transports: Vec<Option<(Transport, Instant)>>,
    /// Whose turn it is.
    next: usize,
}

/// What is known of a server from what became of requests. Pure: the time is passed in.
#[derive(Debug, Clone, Default)]
struct Health {
    failures: u32,
    /// Left out until then.
    until: Option<Instant>,
    /// Whether a request tries it.
    is_tried: bool,
}

/// A server that was chosen for a request.
pub struct Choice {
    /// The way to it.
    pub transport: Transport,
    /// Its address, for messages.
    pub address: String,
    number: usize,
}

impl Endpoints {
    /// Resolves credentials and certificates. Sends nothing.
    pub async fn connect(settings: &Settings) -> Result<Self> {
        let address = |url: &Url| url.as_str().trim_end_matches('/').to_owned();
        let all: Vec<_> =
            settings.endpoints.iter().map(|url| Endpoint { url: url.clone(), address: address(url) }).collect();
        let mut way = Way { way_out: settings.way_out.clone(), credentials: None, chain: None, ca: None };
        match &settings.auth {
            Auth::None => {}
            Auth::Basic(user, password) => {
                let credentials = Credentials::Basic(user.clone(), password.reveal().to_owned());
                way.credentials = Some((credentials, String::new()));
            }
            Auth::SigV4 { service, aws } => {
                let name = all.first().map_or("", |endpoint| endpoint.address.as_str());
                let access = aws.load().await.map_err(|error| error.context(name))?;
                let credentials = Credentials::try_from(&access.config)
                    .map_err(|error| Error::invalid(format!("{name}: sign requests")).with_source(error))?;
                way.credentials = Some((credentials, service.clone()));
                way.chain = Some(access.credentials);
            }
        }
        if let Some(path) = &settings.ca {
            let name = path.display().to_string();
            let read = tokio::fs::read(path).await;
            let pem = read.map_err(|error| Error::invalid(format!("`ca`: read {name}")).with_source(error))?;
            way.ca = Some((name, pem));
        }
        let state = State { health: vec![Health::default(); all.len()], transports: vec![None; all.len()], next: 0 };
        let endpoints = Self { all, way, state: Mutex::new(state) };
        // Whatever is wrong with certificates shows at once.
        endpoints.choose()?;
        Ok(endpoints)
    }

    /// The server for the next request.
    pub fn choose(&self) -> Result<Choice> {
        let now = Instant::now();
        let mut state = self.state();
        let number = state.choose(now).ok_or_else(|| Error::internal("a sink without a server"))?;
        let endpoint = &self.all[number];
        let held = state.transports[number].take_if(|(_, since)| now.duration_since(*since) < AGE);
        let (transport, since) = match held {
            Some(held) => held,
            None => (self.way.transport(endpoint)?, now),
        };
        state.transports[number] = Some((transport.clone(), since));
        Ok(Choice { transport, address: endpoint.address.clone(), number })
    }

    /// A server has answered, or what came was no answer of its own.
    pub fn learn(&self, choice: &Choice, answered: bool) {
        let mut state = self.state();
        let several = self.all.len() > 1;
        let Some(health) = state.health.get_mut(choice.number) else { return };
        match (answered, several) {
            (true, _) if health.until.is_some() => {
                tracing::info!("{} answers again", choice.address);
                *health = Health::default();
            }
            (true, _) => *health = Health::default(),
            (false, false) => {}
            (false, true) => {
                let pause = health.fail(Instant::now());
                tracing::warn!("{} is left out for {pause:?}", choice.address);
            }
        }
    }

    /// The next request has fresh credentials, if there are some.
    pub fn renew_credentials(&self) {
        self.way.chain.iter().for_each(CachedCredentials::renew);
    }

    /// All addresses, for messages.
    pub fn names(&self) -> String {
        self.all.iter().map(|endpoint| endpoint.address.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Way {
    fn transport(&self, Endpoint { url, address }: &Endpoint) -> Result<Transport> {
        let mut builder = TransportBuilder::new(SingleNodeConnectionPool::new(url.clone())).timeout(TIMEOUT);
        if let Some(WayOut { address, user, password }) = &self.way_out {
            let proxy = Url::parse(address).map_err(|error| Error::internal(address.as_str()).with_source(error))?;
            builder = builder.proxy(proxy, Some(user), Some(password));
        }
        if let Some((credentials, service)) = &self.credentials {
            builder = builder.auth(credentials.clone()).service_name(service);
        }
        if let Some((name, pem)) = &self.ca {
            let certificates = Certificate::from_pem(pem).map_err(|error| {
                Error::invalid(format!("`ca`: {name} holds no PEM certificates")).with_source(error)
            })?;
            builder = builder.cert_validation(CertificateValidation::Full(certificates));
        }
        builder.build().map_err(|error| Error::invalid(format!("{address}: set up TLS")).with_source(error))
    }
}

impl State {
    /// The next in turn that is not left out; if all are, the one that comes back first.
    fn choose(&mut self, now: Instant) -> Option<usize> {
        let count = self.health.len();
        let mut turn = (0..count).map(|step| (self.next + step) % count);
        let open = turn.find(|&number| self.health[number].is_open(now));
        let chosen = open.or_else(|| (0..count).min_by_key(|&number| self.health[number].until))?;
        self.next = chosen + 1;
        self.health[chosen].try_at(now);
        Some(chosen)
    }
}

impl Health {
    fn is_open(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until <= now)
    }

    /// A request goes there. If it was left out, no other one does until this one must have ended.
    fn try_at(&mut self, now: Instant) {
        if let Some(until) = &mut self.until {
            (*until, self.is_tried) = (now + TIMEOUT, true);
        }
    }

    /// It has failed: returns for how long it is left out.
    fn fail(&mut self, now: Instant) -> Duration {
        let doubled = 1u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let pause = FIRST.saturating_mul(doubled).min(LONGEST);
        // Requests that were on their way together fail together.
        if self.is_tried || self.until.is_none() {
            self.failures += 1;
            self.until = Some(now + pause);
        }
        self.is_tried = false;
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> State {
        State { health: vec![Health::default(); 3], transports: Vec::new(), next: 0 }
    }

    fn choices(state: &mut State, now: Instant) -> Vec<usize> {
        (0..6).filter_map(|_| state.choose(now)).collect()
    }

    /// Requests go round; a server that fails is left out, then tried by one request, and is back once it answers; one that
    /// fails again is left out for longer.
    #[test]
    fn one_that_fails_is_left_out() {
        let (now, mut state) = (Instant::now(), three());
        assert_eq!(choices(&mut state, now), [0, 1, 2, 0, 1, 2]);
        assert_eq!(state.health[1].fail(now), FIRST);
        assert_eq!(choices(&mut state, now), [0, 2, 0, 2, 0, 2]);
        let later = now + FIRST;
        assert_eq!(choices(&mut state, later), [0, 1, 2, 0, 2, 0], "one request tries it");
        assert_eq!(state.health[1].fail(later), 2 * FIRST);
        assert!(!choices(&mut state, later + FIRST).contains(&1));
        assert!(choices(&mut state, later + 2 * FIRST).contains(&1));
        state.health[1] = Health::default();
        assert_eq!(choices(&mut state, later).iter().filter(|&&number| number == 1).count(), 2);
    }

    /// All have failed → the one that comes back first is asked all the same; what was on its way together fails once.
    #[test]
    fn there_is_always_one() {
        let (now, mut state) = (Instant::now(), three());
        for (number, at) in [(0, 3), (1, 1), (2, 2)] {
            state.health[number].fail(now + at * FIRST);
        }
        assert_eq!(state.choose(now), Some(1));
        let mut health = Health::default();
        (0..5).for_each(|_| assert!(health.fail(now) <= 2 * FIRST));
        assert_eq!(health.failures, 1);
    }
}
