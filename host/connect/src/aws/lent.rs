//! Credentials of a role that one process takes on and another one uses: who may not have the rights of the machine gets what
//! AWS gave for the role, as the endpoints of containers hand it over, and for as long as that is good.

use super::{AwsSettings, CachedCredentials, assume, denied};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, Result as Provided, SharedCredentialsProvider, future};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};
use tokio::sync::Mutex;
use url::Url;
use wasmill_stream::access::Role;
use wasmill_stream::time::iso8601;
use wasmill_stream::{Error, Result};

/// Whoever lends has to ask AWS first.
const PATIENCE: Duration = Duration::from_secs(30);
/// A tenant has no more jobs and regions than this.
const MOST: usize = 1_000;

/// What the endpoint answers, as containers of AWS have it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Lent {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
    expiration: Option<String>,
}

/// Takes on roles for others.
#[derive(Default)]
pub struct Lender {
    /// By role, with the session, and region.
    lent: Mutex<Vec<(Role, String, CachedCredentials)>>,
}

impl Lender {
    /// Valid credentials of a role, as JSON. `region`: whose servers are asked.
    pub async fn lend(&self, role: &Role, region: &str) -> Result<String> {
        let credentials = self.cached(role, region).await?.current().await;
        let failed = |error| denied(&format!("the role {} could not be taken on", role.arn)).with_source(error);
        let credentials = credentials.map_err(failed)?;
        let millis = |end: SystemTime| end.duration_since(SystemTime::UNIX_EPOCH).ok().map(|since| since.as_millis());
        let lent = Lent {
            access_key_id: credentials.access_key_id().to_owned(),
            secret_access_key: credentials.secret_access_key().to_owned(),
            token: credentials.session_token().map(str::to_owned),
            expiration: credentials.expiry().and_then(millis).and_then(|at| i64::try_from(at).ok()).map(iso8601),
        };
        serde_json::to_string(&lent).map_err(|error| Error::internal(format!("write credentials: {error}")))
    }

    async fn cached(&self, role: &Role, region: &str) -> Result<CachedCredentials> {
        let mut lent = self.lent.lock().await;
        let known = lent.iter().find(|(known, of, _)| known == role && of == region);
        if let Some((_, _, known)) = known {
            return Ok(known.clone());
        }
        if lent.len() >= MOST {
            lent.clear();
        }
        let config = AwsSettings::of(Some(region.to_owned()), None).config().await;
        let credentials = CachedCredentials::new(assume(role, &config).await);
        lent.push((role.clone(), region.to_owned(), credentials.clone()));
        Ok(credentials)
    }
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> CredentialsError {
    CredentialsError::provider_error(error)
}

/// Credentials from whoever lends them at an address.
pub fn borrowed(address: &str, session: &str, region: &str) -> Result<SharedCredentialsProvider> {
    let wrong = |error| Error::internal(format!("{address} lends no credentials")).with_source(error);
    let url = Url::parse_with_params(address, [("session", session), ("region", region)]).map_err(wrong)?;
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build();
    let client = client.map_err(|error| Error::internal("make an HTTP client").with_source(error))?;
    Ok(SharedCredentialsProvider::new(Borrower { url, client }))
}

#[derive(Debug)]
struct Borrower {
    url: Url,
    client: reqwest::Client,
}

impl Borrower {
    async fn borrow(&self) -> Provided {
        let answer = self.client.get(self.url.clone()).send().await.map_err(failed)?;
        let (status, body) = (answer.status(), answer.bytes().await.map_err(failed)?);
        if !status.is_success() {
            return Err(failed(String::from_utf8_lossy(&body).into_owned()));
        }
        let Lent { access_key_id, secret_access_key, token, expiration } =
            serde_json::from_slice(&body).map_err(|_| failed("what is no JSON of credentials"))?;
        let end = expiration.map(|text| text.parse::<jiff::Timestamp>()).transpose().map_err(failed)?;
        Ok(Credentials::new(access_key_id, secret_access_key, token, end.map(SystemTime::from), "lent"))
    }
}

impl ProvideCredentials for Borrower {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.borrow())
    }
}
