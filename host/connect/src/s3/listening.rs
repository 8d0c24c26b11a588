//! Hears what a server answers to the requests of the S3 client: whoever is let in is who he says. What refusals mean is read
//! from the errors that the client makes of them.

use crate::aws::Doubt;
use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use std::sync::Arc;

/// Makes HTTP clients as usual, and hears what they are answered.
#[derive(Debug)]
pub struct Listening {
    doubt: Arc<Doubt>,
}

#[derive(Debug)]
struct Listener {
    client: HttpClient,
    doubt: Arc<Doubt>,
}

impl Listening {
    /// For whoever may doubt the credentials.
    pub fn new(doubt: &Arc<Doubt>) -> Self {
        Self { doubt: doubt.clone() }
    }
}

impl HttpConnector for Listening {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Listener { client, doubt: self.doubt.clone() }))
    }
}

#[async_trait]
impl HttpService for Listener {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = self.client.execute(request).await?;
        // What is not there, there already, or as it was is only told to those who are let in.
        if answer.status().is_success() || matches!(answer.status().as_u16(), 304 | 404 | 409 | 412) {
            self.doubt.taken();
        }
        Ok(answer)
    }
}
