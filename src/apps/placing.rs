//! What a call means that kamari is asked to place: whose it is, who is rung, and what serves him.

use std::sync::Arc;

use super::tenants::{TenantError, Tenants};
use crate::call::Address;
use crate::directory::TenantSettings;
use crate::invalid::Invalid;

/// A call that a tenant has placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placing {
    /// Who is rung.
    pub to: Address,
    /// The tenant's domain at which the call is served.
    pub domain: Arc<str>,
    /// The tenant's number that serves it.
    pub extension: Arc<str>,
}

impl Tenants {
    /// Finds what it means that `tenant` has `to` rung and, once he answers, served by his number `extension`. `to` is a
    /// user or number, or either with a domain; without one it is of the tenant's first domain, and a tenant who has none but
    /// `*` must say one.
    pub async fn placing(&self, tenant: &str, to: &str, extension: &str) -> Result<Placing, TenantError> {
        let settings = self.get(tenant).await?.settings;
        let domain = own_domain(&settings).or_else(|| to.split_once('@').map(|(_, domain)| domain)).unwrap_or_default();
        let named = |field: &str, refusal: Invalid| Invalid { field: field.to_owned(), ..refusal };
        let to = Address::within(to, domain).map_err(|refusal| named("to", refusal))?;
        let reached = self.switchboard.tenant_of(domain, extension);
        if reached.as_deref() != Some(tenant) {
            return Err(Invalid::new("extension", format!("a number of {tenant}"), extension).into());
        }
        Ok(Placing { to, domain: domain.into(), extension: extension.into() })
    }
}

/// The first domain that is one, and that an address can have.
fn own_domain(tenant: &TenantSettings) -> Option<&str> {
    tenant.domains.iter().map(String::as_str).find(|domain| Address::within("user", domain).is_ok())
}
