//! The tenants of a host: what their jobs may take together, and take.

use super::Refusal;
use super::refusal::Result;
use crate::serve::TenantStatus;
use crate::serve::fleet::Fleet;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use std::sync::Arc;

/// All tenants, by name.
#[utoipa::path(get, path = "/api/v1/tenants", responses((status = 200, body = [TenantStatus])))]
pub async fn list(State(fleet): State<Arc<Fleet>>) -> Json<Vec<TenantStatus>> {
    Json(fleet.tenants())
}

/// One tenant.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}", responses(
    (status = 200, body = TenantStatus),
    (status = 404, body = Refusal)
))]
pub async fn show(State(fleet): State<Arc<Fleet>>, Path(tenant): Path<String>) -> Result<Json<TenantStatus>> {
    let found = fleet.tenants().into_iter().find(|known| known.name == tenant);
    found.map(Json).ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, format!("there is no tenant {tenant}")))
}
