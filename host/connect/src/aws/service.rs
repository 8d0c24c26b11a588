//! What sinks have in common that write to a service of AWS through its SDK: settings, and what a failed call means for the rows that it
//! was about.

use super::{AwsAccess, AwsSettings, Doubt, check_endpoint, failure, is_about_caller, is_missing};
use crate::requests::Answer;
use crate::retry::Patience;
use aws_sdk_kinesis::config::http::HttpResponse;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use std::fmt;
use url::Url;
use wasmill_stream::config::{Problems, Section};
use wasmill_stream::{Error, ErrorKind, Result};

/// Which server it is, and who asks.
#[derive(Debug, Clone)]
pub struct ServiceSettings {
    /// Region and credentials.
    pub aws: AwsSettings,
    /// Another server than that of AWS.
    endpoint: Option<Url>,
    /// How long to wait for the server at start.
    pub patience: Patience,
}

impl ServiceSettings {
    /// Reads `endpoint`, `start_timeout` and the AWS settings. `region`: what something else says of it, such as an ARN.
    pub fn check(region: Option<String>, section: &mut Section<'_>, problems: &mut Problems) -> Self {
        let mut aws = AwsSettings::check(section, problems);
        aws.region = region.or(aws.region);
        let endpoint = check_endpoint(section, problems);
        Self { aws, endpoint, patience: Patience::check_start(section, problems) }
    }

    /// Resolves region and credentials for something that is called so. Sends nothing to the service.
    pub async fn open(&self, name: &str) -> Result<(AwsAccess, Caller)> {
        let access = self.aws.load().await.map_err(|error| error.context(name))?;
        let at = self.endpoint().map(|endpoint| format!(" at {endpoint}")).unwrap_or_default();
        let place = format!("{name} in {}{at}", access.region);
        let caller = Caller { doubt: Doubt::new(access.credentials.clone()), place };
        Ok((access, caller))
    }

    /// The address of another server than that of AWS.
    pub fn endpoint(&self) -> Option<String> {
        self.endpoint.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned())
    }
}

/// Who asks something of a service, and about what.
pub struct Caller {
    doubt: Doubt,
    /// Table, topic or namespace, and its server, for people.
    place: String,
}

impl Caller {
    /// The server has taken the caller's credentials.
    pub fn was_taken(&self) {
        self.doubt.taken();
    }

    /// The next request has fresh credentials, if there are some.
    pub fn renew_credentials(&self) {
        self.doubt.expired();
    }

    /// The host's error for a failed call.
    pub fn failure<E>(&self, what: &str, error: SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        failure(format!("{self}: {what}"), error, &self.doubt)
    }

    /// What a failed call means for the rows that it was about: something in them cannot be taken, or an error says nothing of
    /// them. What is not there may be again, as a right may.
    pub fn verdict<E>(&self, what: &str, error: SdkError<E, HttpResponse>) -> Result<Answer>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let answer = error.as_service_error();
        let code = answer.and_then(ProvideErrorMetadata::code).unwrap_or_default().to_owned();
        let is_barred = is_missing(&code) || is_about_caller(&code);
        let reason = answer.map(|answer| reason(answer));
        let error = self.failure(what, error);
        match error.kind() {
            _ if is_barred => Err(Error::new(ErrorKind::Denied, error.report())),
            // Whatever has answered was not the service.
            ErrorKind::Invalid if code.is_empty() && reason.is_some() => Err(Error::unavailable(error.report())),
            ErrorKind::Invalid => Ok(Answer::Malformed(reason.unwrap_or_else(|| error.report()))),
            _ => Err(error),
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

/// What the service says, for the rows that it says it of.
fn reason(answer: &impl ProvideErrorMetadata) -> String {
    let code = answer.code().unwrap_or("an answer without a code");
    answer.message().map_or_else(|| code.to_owned(), |message| format!("{code}: {message}"))
}
