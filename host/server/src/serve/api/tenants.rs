//! The tenants of a host: what their jobs may take together, and take.

use super::Refusal;
use super::caller::Scope;
use super::refusal::Result;
use crate::serve::TenantStatus;
use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;

/// All tenants that the token is for, by name.
#[utoipa::path(get, path = "/api/v1/tenants", responses((status = 200, body = [TenantStatus])))]
pub async fn list(scope: Scope) -> Json<Vec<TenantStatus>> {
    Json(scope.tenants().await)
}

/// One tenant.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}", responses(
    (status = 200, body = TenantStatus),
    (status = 404, body = Refusal, description = "there is no such tenant")
))]
pub async fn show(scope: Scope, Path(tenant): Path<String>) -> Result<Json<TenantStatus>> {
    let found = scope.tenants().await.into_iter().find(|known| known.name == tenant);
    found.map(Json).ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, format!("there is no tenant {tenant}")))
}
