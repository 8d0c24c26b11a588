//! What every AWS connector shares: region, profile and keys of the job file, the usual chain of credentials, time-outs.
//! Retries are not the SDK's business here but those of `retry`.

mod credentials;
mod doubt;
mod failure;
mod lent;
mod service;

use crate::secret::Secret;
pub use credentials::CachedCredentials;
pub use doubt::Doubt;
pub use failure::{failure, is_about_caller, is_missing, is_passing};
pub use lent::Lender;
pub use service::{Caller, ServiceSettings};

use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_kinesis::config::SharedHttpClient;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder as HttpClientBuilder, Connector};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::time::Duration;
use url::Url;
use wasmill_stream::access::{Access, Reach, Role, WayOut};
use wasmill_stream::config::{Place, Problems, Section};
use wasmill_stream::{Error, ErrorKind, Result};

/// Parts of host names are no longer.
const LONGEST_REGION: usize = 63;

/// The AWS settings of a connector. What is absent comes from the environment, the profile or the machine's role.
#[derive(Debug, Clone, Default)]
pub struct AwsSettings {
    /// The region.
    pub region: Option<String>,
    /// A profile of `~/.aws/config`.
    pub profile: Option<String>,
    rights: Rights,
    /// The way that requests take.
    pub way_out: Option<WayOut>,
}

/// By whose rights requests are made.
#[derive(Debug, Clone, Default)]
enum Rights {
    /// By those of the environment, the profile or the machine's role.
    #[default]
    Machine,
    /// By those of keys in the job file.
    Keys(Keys),
    /// By those of a role, which the machine may take on.
    Role(Role),
    /// By none: the job may not use those of the machine, and has no others.
    Nobody,
}

#[derive(Debug, Clone)]
struct Keys {
    id: Secret,
    secret: Secret,
    token: Option<Secret>,
}

impl AwsSettings {
    /// With the keys of the environment, the profile or the machine's role.
    pub fn of(region: Option<String>, profile: Option<String>) -> Self {
        Self { region, profile, rights: Rights::Machine, way_out: None }
    }

    /// Of a job that may reach so much and says nothing itself.
    pub fn within(access: &dyn Access) -> Self {
        let rights = match access.role() {
            Some(role) => Rights::Role(role),
            None if access.allows(Reach::MachineRights).is_ok() => Rights::Machine,
            None => Rights::Nobody,
        };
        Self { rights, way_out: access.way_out(), ..Self::default() }
    }

    /// Reads `region`, `profile`, `access_key_id`, `secret_access_key` and `session_token`.
    pub fn check(section: &mut Section<'_>, problems: &mut Problems) -> Self {
        let region = check_region(section, problems);
        let profile = section.located::<String>("profile", problems);
        let id = Secret::check("access_key_id", section, problems);
        let secret = Secret::check("secret_access_key", section, problems);
        let token = Secret::check("session_token", section, problems);
        if id.is_some() != secret.is_some() {
            let message = format!("{}: `access_key_id` and `secret_access_key` go together", section.title());
            problems.push(section.place(), message);
        }
        let keys = id.zip(secret).map(|(id, secret)| Keys { id, secret, token });
        if let Some((_, place)) = &profile {
            section.reach(Reach::MachineRights, place.clone(), problems);
        } else if keys.is_none() && section.access().role().is_none() {
            section.reach(Reach::MachineRights, section.place(), problems);
        }
        let Self { rights, way_out, .. } = Self::within(section.access());
        let rights = keys.map_or(rights, Rights::Keys);
        Self { region, profile: profile.map(|(profile, _)| profile), rights, way_out }
    }

    /// Resolves region and credentials, and proves that there are some.
    pub async fn load(&self) -> Result<AwsAccess> {
        if matches!(self.rights, Rights::Nobody) {
            return Err(denied("this job may not use the AWS rights of the machine, and has no others"));
        }
        let config = self.config().await;
        let region = config.region().map(ToString::to_string);
        let region = region.ok_or_else(|| Error::invalid("no AWS region: set `region` or AWS_REGION"))?;
        let chain = match &self.rights {
            Rights::Role(role) => match &role.lent_at {
                Some(address) => Some(lent::borrowed(address, &role.session, &region)?),
                None => Some(assume(role, &config).await),
            },
            _ => config.credentials_provider(),
        };
        let credentials = CachedCredentials::new(chain.ok_or_else(|| denied("no chain of AWS credentials"))?);
        credentials.current().await.map_err(|error| match &self.rights {
            Rights::Role(Role { arn, .. }) => {
                denied(&format!("the role {arn} could not be taken on")).with_source(error)
            }
            _ => denied("no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or a role")
                .with_source(error),
        })?;
        // Whoever lends or gives credentials was asked directly; what is done with them goes the job's way.
        let config = match &self.way_out {
            Some(way) => config.into_builder().http_client(client_through(way)?).build(),
            None => config,
        };
        Ok(AwsAccess::over(config, region, credentials))
    }
}

impl AwsSettings {
    /// What the SDK makes of them, and of the machine.
    async fn config(&self) -> SdkConfig {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts());
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        if let Rights::Keys(Keys { id, secret, token }) = &self.rights {
            let token = token.as_ref().map(|token| token.reveal().to_owned());
            let keys = Credentials::new(id.reveal(), secret.reveal(), token, None, "job file");
            loader = loader.credentials_provider(keys);
        }
        loader.load().await
    }
}

/// An HTTP client of the SDK that goes only this way.
fn client_through(way: &WayOut) -> Result<SharedHttpClient> {
    let proxy = ProxyConfig::all(way.address.as_str())
        .map_err(|error| Error::internal(format!("{way:?} is no proxy")).with_source(error))?
        .with_basic_auth(&way.user, &way.password);
    Ok(HttpClientBuilder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder().proxy_config(proxy.clone());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build()
    }))
}

/// Whether a text can be the name of a region, and no more than a part of a host name.
pub fn is_region(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=LONGEST_REGION).contains(&text.len()) && text.chars().all(fits)
}

/// Reads `region`. It becomes a part of host names, so it may not be more than that.
fn check_region(section: &mut Section<'_>, problems: &mut Problems) -> Option<String> {
    let (region, place) = section.located::<String>("region", problems)?;
    if !is_region(&region) {
        let message = format!("{}: `region`: \"{region}\" is not the name of a region", section.title());
        problems.push_hint(place, message, "write it like \"eu-west-1\"");
        return None;
    }
    Some(region)
}

/// Credentials of a role, which the machine takes on by its own.
async fn assume(role: &Role, config: &SdkConfig) -> SharedCredentialsProvider {
    let mut builder = AssumeRoleProvider::builder(&role.arn).session_name(&role.session).configure(config);
    if let Some(id) = &role.external_id {
        builder = builder.external_id(id);
    }
    if let Some(policy) = &role.policy {
        builder = builder.policy(policy);
    }
    SharedCredentialsProvider::new(builder.build().await)
}

/// Access to AWS as the job file and the machine grant it.
pub struct AwsAccess {
    /// For clients of the SDK.
    pub config: SdkConfig,
    /// The region.
    pub region: String,
    /// For everything that signs by itself.
    pub credentials: CachedCredentials,
}

impl AwsAccess {
    /// Access with these credentials, which clients of the SDK ask for with each request: there is one cache, ours, that can be
    /// told that credentials were refused.
    fn over(config: SdkConfig, region: String, credentials: CachedCredentials) -> Self {
        let shared = SharedCredentialsProvider::new(credentials.clone());
        let config =
            config.into_builder().credentials_provider(shared).identity_cache(IdentityCache::no_cache()).build();
        Self { config, region, credentials }
    }
}

/// Reads `endpoint`, the address of an emulator or a private gateway.
pub fn check_endpoint(section: &mut Section<'_>, problems: &mut Problems) -> Option<Url> {
    let (text, place) = section.located::<String>("endpoint", problems)?;
    check_address(&text, place, section, problems)
}

/// Reads `endpoint`, the addresses of one server or of several that belong together.
pub fn check_endpoints(section: &mut Section<'_>, problems: &mut Problems) -> Vec<Url> {
    let Some((Addresses(texts), place)) = section.located("endpoint", problems) else { return Vec::new() };
    texts.iter().filter_map(|text| check_address(text, place.clone(), section, problems)).collect()
}

fn check_address(text: &str, place: Place, section: &Section<'_>, problems: &mut Problems) -> Option<Url> {
    // Messages and logs name addresses, and what stands before an `@` may be a password. So this message does not.
    if text.contains('@') {
        let message = format!("{}: `endpoint` must be an address without a user name or password", section.title());
        let hint = "take what ends with @ out: OpenSearch has `username` and `password` for it, AWS `access_key_id` and \
                    `secret_access_key`";
        problems.push_hint(place, message, hint);
        return None;
    }
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.host().is_some() => {
            section.reach(Reach::Server(&url.origin().ascii_serialization()), place, problems);
            Some(url)
        }
        _ => {
            let message = format!("{}: `endpoint`: \"{text}\" is not an address", section.title());
            problems.push_hint(place, message, "write it like \"https://host:9200\" or \"http://127.0.0.1:4568\"");
            None
        }
    }
}

/// An address, or a list of some.
struct Addresses(Vec<String>);

impl<'de> Deserialize<'de> for Addresses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;

        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Addresses;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address or a list of addresses")
            }

            fn visit_str<E>(self, text: &str) -> Result<Addresses, E> {
                Ok(Addresses(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, texts: A) -> Result<Addresses, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(texts)).map(Addresses)
            }
        }

        deserializer.deserialize_any(OneOrMore)
    }
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(Duration::from_secs(60))
        .build()
}

fn denied(message: &str) -> Error {
    Error::new(ErrorKind::Denied, message)
}
