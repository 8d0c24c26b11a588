//! A component on its way into a job: its bytes, however they came, and who says that they are good.

use std::sync::Arc;
use wasmill_connect::component_store::Fetched;

/// A component and its signature.
#[derive(Debug, Clone)]
pub struct Given {
    /// Its bytes.
    pub component: Arc<[u8]>,
    /// What lay beside it as its signature, if anything did and it was looked for.
    pub signature: Option<Arc<[u8]>>,
}

impl From<Fetched> for Given {
    fn from(fetched: Fetched) -> Self {
        Self {
            component: Arc::from(&*fetched.component),
            signature: fetched.signature.map(|signature| Arc::from(&*signature)),
        }
    }
}
