//! Credentials of the chain, kept until shortly before they expire. The SDK, the search client and the object store all
//! sign with these, so that a request does not ask the machine's metadata service each time.

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Mutex;

/// How long before their end credentials are replaced: a request signed just before the end arrives after it.
const EARLY: Duration = Duration::from_secs(5 * 60);
/// How long credentials without an end are kept; whoever rotates them in a file or a profile is noticed after that.
const UNDATED: Duration = Duration::from_secs(15 * 60);
/// How long to wait before the chain is asked again while it gives nothing fresher, or nothing that is taken.
const AGAIN: Duration = Duration::from_secs(10);

/// A chain of credentials and what it gave last.
#[derive(Clone)]
pub struct CachedCredentials {
    chain: SharedCredentialsProvider,
    held: Arc<Mutex<Option<Held>>>,
}

struct Held {
    credentials: Credentials,
    since: SystemTime,
    until: SystemTime,
}

impl CachedCredentials {
    /// Nothing held yet.
    pub fn new(chain: SharedCredentialsProvider) -> Self {
        Self { chain, held: Arc::default() }
    }

    /// Asks the chain again for the next request, as those that are held were refused; not more often than it makes sense.
    pub fn renew(&self) {
        // Whoever has the lock is asking it.
        let Ok(mut held) = self.held.try_lock() else { return };
        let now = SystemTime::now();
        if let Some(held) = held.as_mut().filter(|held| now >= held.since + AGAIN) {
            held.until = now;
        }
    }

    /// Valid credentials. When fresh ones cannot be had, the old ones serve until their end.
    pub async fn current(&self) -> Result<Credentials, CredentialsError> {
        let mut held = self.held.lock().await;
        let now = SystemTime::now();
        if let Some(held) = held.as_ref().filter(|held| now < held.until) {
            return Ok(held.credentials.clone());
        }
        let credentials = match (self.chain.provide_credentials().await, held.take()) {
            (Ok(fresh), _) => fresh,
            (Err(error), Some(old)) if old.credentials.expiry().is_none_or(|end| now < end) => {
                tracing::warn!("AWS credentials cannot be renewed yet: {error}");
                old.credentials
            }
            (Err(error), _) => return Err(error),
        };
        let until = credentials.expiry().map_or(now + UNDATED, |end| (end - EARLY).max(now + AGAIN).min(end));
        *held = Some(Held { credentials: credentials.clone(), since: now, until });
        Ok(credentials)
    }
}

impl fmt::Debug for CachedCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedCredentials").finish_non_exhaustive()
    }
}

impl ProvideCredentials for CachedCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.current())
    }
}

#[async_trait]
impl CredentialProvider for CachedCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let current = self.current().await;
        let current = current.map_err(|error| object_store::Error::Generic { store: "S3", source: error.into() })?;
        Ok(Arc::new(AwsCredential {
            key_id: current.access_key_id().to_owned(),
            secret_key: current.secret_access_key().to_owned(),
            token: current.session_token().map(str::to_owned),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::AwsAccess;
    use aws_config::retry::RetryConfig;
    use aws_config::{BehaviorVersion, Region, SdkConfig};
    use aws_credential_types::provider;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    /// A chain that gives credentials which live so long, the first `good` times that it is asked.
    #[derive(Debug, Default)]
    struct Chain {
        life: Duration,
        good: usize,
        asked: Arc<AtomicUsize>,
    }

    impl ProvideCredentials for Chain {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let nth = self.asked.fetch_add(1, Relaxed);
            let end = SystemTime::now() + self.life;
            future::ProvideCredentials::ready(if nth < self.good {
                Ok(Credentials::new(format!("key {nth}"), "secret", None, Some(end), "test"))
            } else {
                Err(CredentialsError::provider_timed_out(self.life))
            })
        }
    }

    async fn ask(life: Duration, good: usize, age: Duration) -> (provider::Result, usize) {
        let chain = Chain { life, good, ..Chain::default() };
        let asked = chain.asked.clone();
        let cached = CachedCredentials::new(SharedCredentialsProvider::new(chain));
        cached.current().await.expect("the first are good");
        cached.current().await.expect("and are kept");
        assert_eq!(asked.load(Relaxed), 1, "nobody asks twice at once");
        if let Some(held) = cached.held.lock().await.as_mut() {
            held.until -= age;
        }
        (cached.current().await, asked.load(Relaxed))
    }

    /// Credentials that were refused → the chain is asked again, but not right after it was asked; if it gives none the old
    /// ones serve.
    #[tokio::test]
    async fn refused_ones_are_replaced() {
        let chain = Chain { life: Duration::from_secs(3_600), good: 2, ..Chain::default() };
        let asked = chain.asked.clone();
        let cached = CachedCredentials::new(SharedCredentialsProvider::new(chain));
        let key = async || cached.current().await.expect("valid").access_key_id().to_owned();
        let expected = [("key 0", "key 0"), ("key 1", "key 1"), ("key 1", "key 1")];
        for (round, (young, renewed)) in expected.into_iter().enumerate() {
            assert_eq!(key().await, young);
            cached.renew();
            assert_eq!(key().await, renewed, "it was asked a moment ago");
            assert_eq!(asked.load(Relaxed), round + 1);
            if let Some(held) = cached.held.lock().await.as_mut() {
                held.since -= AGAIN;
            }
            cached.renew();
        }
    }

    /// Credentials that were replaced → the next request of a client of the SDK has the new ones.
    #[tokio::test]
    async fn clients_hold_none_themselves() {
        let chain = Chain { life: Duration::from_secs(3_600), good: 9, ..Chain::default() };
        let asked = chain.asked.clone();
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .retry_config(RetryConfig::disabled())
            .build();
        let credentials = CachedCredentials::new(SharedCredentialsProvider::new(chain));
        let access = AwsAccess::over(config, "eu-west-1".to_owned(), credentials);
        let config = aws_sdk_kinesis::config::Builder::from(&access.config).endpoint_url("http://127.0.0.1:1").build();
        let client = aws_sdk_kinesis::Client::from_conf(config);
        for round in 1..=3 {
            client.list_streams().send().await.expect_err("nobody listens there");
            assert_eq!(asked.load(Relaxed), round);
            if let Some(held) = access.credentials.held.lock().await.as_mut() {
                held.since -= AGAIN;
            }
            access.credentials.renew();
        }
    }

    /// Credentials are kept while they are young, replaced before their end, and used to their end when there are no others.
    #[tokio::test]
    async fn replaced_in_time() {
        let hour = Duration::from_secs(3_600);
        let key = |result: provider::Result| result.expect("valid").access_key_id().to_owned();
        let (young, asked) = ask(hour, 9, hour / 2).await;
        assert_eq!((key(young), asked), ("key 0".to_owned(), 1));
        let aged = Duration::from_secs(57 * 60);
        let (renewed, asked) = ask(hour, 9, aged).await;
        assert_eq!((key(renewed), asked), ("key 1".to_owned(), 2));
        let (orphaned, asked) = ask(hour, 1, aged).await;
        assert_eq!((key(orphaned), asked), ("key 0".to_owned(), 2));
        let short = Chain { good: 1, ..Chain::default() };
        let short = CachedCredentials::new(SharedCredentialsProvider::new(short));
        assert!(short.current().await.is_ok());
        assert!(short.current().await.is_err(), "what has ended is not served");
    }
}
