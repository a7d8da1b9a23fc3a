//! The tenants: those that files declare, and those that were added by the API.
//!
//! Invariants:
//! - What is in effect was checked as a whole; a change that would make it wrong changes nothing.
//! - A change by the API is on disk before it is in effect.
//! - A tenant of a file is changed there only, so that the file always says what is.
//! - A stored tenant that contradicts the files does not keep kamari from starting: he is set aside, kept, and tried again
//!   whenever the files are read anew.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::Switchboard;
use crate::directory::TenantSettings;
use crate::invalid::Invalid;
use crate::statefile::{StateFile, StoreError};

/// The state file's format. Raise it when an older kamari would misread what is written.
const VERSION: u32 = 1;
/// Most tenants that the API adds.
const LIMIT: usize = 10_000;

/// Why a tenant was not shown or changed.
#[derive(Debug, thiserror::Error)]
pub enum TenantError {
    /// There is no tenant of this name.
    #[error("there is no tenant of this name")]
    Unknown,
    /// There is one of this name already.
    #[error("there is a tenant {0} already")]
    Exists(String),
    /// It stands in a file.
    #[error("the tenant {0} stands in a file: change it there, and let the directory be read again")]
    OfFile(String),
    /// The API holds no more.
    #[error("the API holds {LIMIT} tenants already; more belong into files")]
    Full,
    /// A value was refused; nothing changed.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// It could not be written down; nothing changed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// kamari is shutting down.
    #[error("kamari is shutting down")]
    Stopped,
}

/// Who says what a tenant is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TenantOrigin {
    /// The settings file or a file of the folder.
    File,
    /// The API.
    Runtime,
}

/// A tenant in effect.
#[derive(Debug, Clone, PartialEq)]
pub struct Tenant {
    /// What it is.
    pub settings: TenantSettings,
    /// Who says so.
    pub origin: TenantOrigin,
    /// Why he is not served, though he was added: what of him was refused when kamari started.
    pub set_aside: Option<Invalid>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    tenants: Vec<TenantSettings>,
}

#[derive(Debug, Clone)]
struct State {
    declared: Vec<TenantSettings>,
    added: BTreeMap<String, TenantSettings>,
    /// What was added and is not in effect, and why.
    aside: BTreeMap<String, (TenantSettings, Invalid)>,
}

impl State {
    fn all(&self) -> Vec<TenantSettings> {
        self.declared.iter().chain(self.added.values()).cloned().collect()
    }

    fn origin(&self, name: &str) -> Option<TenantOrigin> {
        if self.declared.iter().any(|tenant| tenant.name == name) {
            Some(TenantOrigin::File)
        } else {
            (self.added.contains_key(name) || self.aside.contains_key(name)).then_some(TenantOrigin::Runtime)
        }
    }

    /// What is written down: all that the API added.
    fn document(&self) -> Document {
        let aside = self.aside.values().map(|(settings, _)| settings);
        Document { version: VERSION, tenants: self.added.values().chain(aside).cloned().collect() }
    }

    /// The added tenant whom a refusal of `all` is about; nothing if it is about one of a file.
    fn at_fault(&self, refusal: &Invalid) -> Option<&String> {
        let (index, _) = refusal.field.strip_prefix("tenants[")?.split_once(']')?;
        self.added.keys().nth(index.parse::<usize>().ok()?.checked_sub(self.declared.len())?)
    }

    /// A refusal of `all` in the words of whoever changed `changed`: of an added tenant it names no place in a list.
    fn said_of(&self, refusal: Invalid, changed: Option<&str>) -> Invalid {
        let Some(name) = self.at_fault(&refusal) else { return refusal };
        let field = refusal.field.split_once(']').map_or("", |(_, field)| field);
        let field = field.trim_start_matches('.');
        let field =
            if changed == Some(name) { field.to_owned() } else { format!("{field} of {name}, added by the API") };
        Invalid { field, ..refusal }
    }
}

/// All tenants.
#[derive(Debug)]
pub struct Tenants {
    pub(super) switchboard: Arc<Switchboard>,
    file: StateFile,
    state: Mutex<State>,
}

impl Tenants {
    /// Reads what the API added before, and puts it into effect beside what files declare. Who of it contradicts them is set
    /// aside; a mistake in the files themselves is refused.
    pub fn open(
        switchboard: Arc<Switchboard>,
        state_file: Option<PathBuf>,
        declared: Vec<TenantSettings>,
    ) -> Result<Self, TenantError> {
        let file = StateFile::new(state_file, VERSION);
        let stored = file.load::<Document>()?.map(|document| document.tenants).unwrap_or_default();
        let added = stored.into_iter().map(|tenant| (tenant.name.clone(), tenant)).collect();
        let mut state = State { declared, added, aside: BTreeMap::new() };
        // Ends: each refusal but the last takes one tenant away.
        let prepared = loop {
            let refusal = match switchboard.prepare(&state.all()) {
                Ok(prepared) => break prepared,
                Err(refusal) => refusal,
            };
            let Some(name) = state.at_fault(&refusal).cloned() else { return Err(refusal.into()) };
            let refusal = state.said_of(refusal, Some(&name));
            tracing::error!(tenant = name, %refusal, "a tenant that the API added is not served: it contradicts the files");
            if let Some(settings) = state.added.remove(&name) {
                state.aside.insert(name, (settings, refusal));
            }
        };
        switchboard.install(prepared);
        Ok(Self { switchboard, file, state: Mutex::new(state) })
    }

    /// All tenants: those of files in their order, then the others by name.
    pub async fn list(&self) -> Vec<Tenant> {
        let state = self.state.lock().await;
        let tenant = |settings: &TenantSettings, origin| Tenant { settings: settings.clone(), origin, set_aside: None };
        let declared = state.declared.iter().map(|settings| tenant(settings, TenantOrigin::File));
        let added = state.added.values().map(|settings| tenant(settings, TenantOrigin::Runtime));
        let aside = state
            .aside
            .values()
            .map(|(settings, why)| Tenant { set_aside: Some(why.clone()), ..tenant(settings, TenantOrigin::Runtime) });
        declared.chain(added).chain(aside).collect()
    }

    /// One tenant.
    pub async fn get(&self, name: &str) -> Result<Tenant, TenantError> {
        let all = self.list().await;
        all.into_iter().find(|tenant| tenant.settings.name == name).ok_or(TenantError::Unknown)
    }

    /// Adds a tenant.
    pub async fn add(&self, tenant: TenantSettings) -> Result<Tenant, TenantError> {
        let mut state = self.state.lock().await;
        if state.origin(&tenant.name).is_some() {
            return Err(TenantError::Exists(tenant.name));
        }
        self.put_in(&mut state, tenant).await
    }

    /// Replaces a tenant that the API added, or adds it.
    pub async fn put(&self, tenant: TenantSettings) -> Result<Tenant, TenantError> {
        let mut state = self.state.lock().await;
        if state.origin(&tenant.name) == Some(TenantOrigin::File) {
            return Err(TenantError::OfFile(tenant.name));
        }
        self.put_in(&mut state, tenant).await
    }

    /// Removes a tenant that the API added. Calls that run keep what they were given.
    pub async fn remove(&self, name: &str) -> Result<(), TenantError> {
        let mut state = self.state.lock().await;
        match state.origin(name) {
            None => return Err(TenantError::Unknown),
            Some(TenantOrigin::File) => return Err(TenantError::OfFile(name.to_owned())),
            Some(TenantOrigin::Runtime) => {}
        }
        let mut wanted = state.clone();
        wanted.added.remove(name);
        wanted.aside.remove(name);
        self.change(&mut state, wanted, None).await
    }

    /// Takes `declared` as what the files say now; if anything in it is wrong, or contradicts what the API added, everything
    /// stays as it was.
    pub async fn declare(&self, declared: Vec<TenantSettings>) -> Result<(), Invalid> {
        let mut state = self.state.lock().await;
        let mut wanted = State { declared, ..state.clone() };
        let mut prepared = self.switchboard.prepare(&wanted.all()).map_err(|refusal| wanted.said_of(refusal, None))?;
        for (name, (settings, _)) in wanted.aside.clone() {
            wanted.added.insert(name.clone(), settings);
            match self.switchboard.prepare(&wanted.all()) {
                Ok(all) => {
                    tracing::info!(tenant = name, "a tenant that was set aside is served again");
                    wanted.aside.remove(&name);
                    prepared = all;
                }
                Err(_) => drop(wanted.added.remove(&name)),
            }
        }
        self.switchboard.install(prepared);
        *state = wanted;
        Ok(())
    }

    async fn put_in(&self, state: &mut State, tenant: TenantSettings) -> Result<Tenant, TenantError> {
        if state.added.len() >= LIMIT && !state.added.contains_key(&tenant.name) {
            return Err(TenantError::Full);
        }
        let mut wanted = state.clone();
        wanted.added.insert(tenant.name.clone(), tenant.clone());
        wanted.aside.remove(&tenant.name);
        self.change(state, wanted, Some(&tenant.name)).await?;
        Ok(Tenant { settings: tenant, origin: TenantOrigin::Runtime, set_aside: None })
    }

    /// Checks, writes down, puts into effect.
    async fn change(&self, state: &mut State, wanted: State, changed: Option<&str>) -> Result<(), TenantError> {
        let prepared = self.switchboard.prepare(&wanted.all()).map_err(|refusal| wanted.said_of(refusal, changed))?;
        let (file, document) = (self.file.clone(), wanted.document());
        let saved = tokio::task::spawn_blocking(move || file.save(&document)).await;
        saved.map_err(|_| TenantError::Stopped)??;
        self.switchboard.install(prepared);
        *state = wanted;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{TenantError, TenantOrigin, Tenants};
    use crate::apps::{Catalogue, Switchboard};
    use crate::directory::TenantSettings;
    use crate::media::{MediaSettings, Prompts};

    #[tokio::test]
    async fn a_call_is_placed_to_somebody_and_for_a_number_of_the_tenant() {
        let folder = tempfile::tempdir().expect("a folder");
        let declared = vec![tenant("one", "one.test", "echo"), tenant("rest", "*", "echo")];
        let tenants = open(&folder, declared).expect("good");
        let placing = tenants.placing("one", "bob", "600").await.expect("good");
        assert_eq!((placing.to.as_str(), &*placing.domain, &*placing.extension), ("bob@one.test", "one.test", "600"));
        let placing = tenants.placing("one", "+4930@gateway.test", "600").await.expect("good");
        assert_eq!((placing.to.as_str(), &*placing.domain), ("+4930@gateway.test", "one.test"));
        let placing = tenants.placing("rest", "eve@else.test", "600").await.expect("good");
        assert_eq!((placing.to.as_str(), &*placing.domain), ("eve@else.test", "else.test"));
        for (name, to, extension, field) in [
            ("one", "bob", "601", "extension"),
            ("one", "b ob", "600", "to"),
            ("one", "bob@x;y", "600", "to"),
            ("rest", "eve", "600", "to"),
            // That domain is another tenant's.
            ("rest", "eve@one.test", "600", "extension"),
        ] {
            match tenants.placing(name, to, extension).await {
                Err(TenantError::Invalid(refusal)) => assert_eq!(refusal.field, field, "{to} {extension}"),
                other => panic!("{to} {extension}: {other:?}"),
            }
        }
        assert!(matches!(tenants.placing("two", "bob", "600").await, Err(TenantError::Unknown)));
    }

    fn tenant(name: &str, domain: &str, app: &str) -> TenantSettings {
        let text =
            format!("name = \"{name}\"\ndomains = [\"{domain}\"]\n[extensions]\n\"600\" = {{ app = \"{app}\" }}");
        toml::from_str(&text).expect("TOML of a tenant")
    }

    fn open(folder: &tempfile::TempDir, declared: Vec<TenantSettings>) -> Result<Tenants, TenantError> {
        let prompts = Arc::new(Prompts::new(&MediaSettings::default()));
        let switchboard = Switchboard::new(Catalogue::default(), prompts, &[]).expect("empty");
        Tenants::open(Arc::new(switchboard), Some(folder.path().join("tenants.json")), declared)
    }

    async fn names(tenants: &Tenants) -> Vec<(String, TenantOrigin)> {
        tenants.list().await.into_iter().map(|tenant| (tenant.settings.name, tenant.origin)).collect()
    }

    #[tokio::test]
    async fn what_the_api_added_survives_and_files_are_their_own_masters() {
        let folder = tempfile::tempdir().expect("a folder");
        let tenants = open(&folder, vec![tenant("one", "one.test", "echo")]).expect("good");
        tenants.add(tenant("two", "two.test", "echo")).await.expect("added");
        assert!(matches!(tenants.add(tenant("two", "x.test", "echo")).await, Err(TenantError::Exists(_))));
        assert!(matches!(tenants.put(tenant("one", "x.test", "echo")).await, Err(TenantError::OfFile(_))));
        assert!(matches!(tenants.remove("one").await, Err(TenantError::OfFile(_))));
        assert!(matches!(tenants.remove("three").await, Err(TenantError::Unknown)));
        tenants.put(tenant("two", "two.test", "conference")).await.expect("replaced");
        let again = open(&folder, vec![tenant("one", "one.test", "echo")]).expect("good");
        let expected = [("one".to_owned(), TenantOrigin::File), ("two".to_owned(), TenantOrigin::Runtime)];
        assert_eq!(names(&again).await, expected);
        assert_eq!(again.get("two").await.expect("there").settings, tenant("two", "two.test", "conference"));
        again.remove("two").await.expect("removed");
        assert_eq!(names(&open(&folder, vec![]).expect("good")).await, []);
    }

    #[tokio::test]
    async fn a_change_that_is_wrong_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let tenants = open(&folder, vec![tenant("one", "one.test", "echo")]).expect("good");
        tenants.add(tenant("two", "two.test", "echo")).await.expect("added");
        let before = names(&tenants).await;
        let field = |error: TenantError| match error {
            TenantError::Invalid(refusal) => refusal.field,
            other => panic!("{other}"),
        };
        let refused = tenants.add(tenant("three", "three.test", "absent")).await.expect_err("no such app");
        assert_eq!(field(refused), "extensions.\"600\".app");
        assert_eq!(field(tenants.put(tenant("two", "one.test", "echo")).await.expect_err("taken")), "domains");
        let refused = tenants.declare(vec![tenant("new", "two.test", "echo")]).await.expect_err("taken");
        assert_eq!(refused.field, "domains of two, added by the API");
        assert_eq!(names(&tenants).await, before);
    }

    #[tokio::test]
    async fn who_contradicts_the_files_is_set_aside_and_comes_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let tenants = open(&folder, vec![]).expect("good");
        for (name, domain) in [("good", "good.test"), ("taken", "one.test"), ("two", "two.test")] {
            tenants.add(tenant(name, domain, "echo")).await.expect("added");
        }
        // The files now have a domain of one and the name of another.
        let declared = || vec![tenant("one", "one.test", "echo"), tenant("two", "other.test", "echo")];
        let tenants = open(&folder, declared()).expect("it starts");
        let aside = |all: Vec<super::Tenant>| -> Vec<(String, String)> {
            let why = |tenant: super::Tenant| Some((tenant.settings.name, tenant.set_aside?.field));
            all.into_iter().filter_map(why).collect()
        };
        let both = [("taken".to_owned(), "domains".to_owned()), ("two".to_owned(), "name".to_owned())];
        assert_eq!(aside(tenants.list().await), both);
        assert_eq!(tenants.get("two").await.expect("of the file").origin, TenantOrigin::File);
        assert_eq!(tenants.switchboard.tenant_of("one.test", "600").as_deref(), Some("one"));
        assert_eq!(tenants.switchboard.tenant_of("good.test", "600").as_deref(), Some("good"));
        // He is kept also when something else is written down, can be replaced, and comes back when the files let him.
        tenants.add(tenant("new", "new.test", "echo")).await.expect("added");
        let tenants = open(&folder, declared()).expect("it starts");
        assert_eq!(aside(tenants.list().await), both);
        assert!(matches!(tenants.add(tenant("taken", "x.test", "echo")).await, Err(TenantError::Exists(_))));
        tenants.put(tenant("taken", "free.test", "echo")).await.expect("replaced");
        assert_eq!(aside(tenants.list().await), both[1..]);
        tenants.declare(vec![tenant("one", "one.test", "echo")]).await.expect("good");
        assert_eq!(aside(tenants.list().await), []);
        assert_eq!(tenants.switchboard.tenant_of("two.test", "600").as_deref(), Some("two"));
        // A mistake in the files themselves is refused.
        assert!(open(&folder, vec![tenant("one", "one.test", "absent")]).is_err());
    }

    #[tokio::test]
    async fn what_cannot_be_written_down_is_not_in_effect() {
        let folder = tempfile::tempdir().expect("a folder");
        let tenants = open(&folder, vec![]).expect("good");
        std::fs::create_dir(folder.path().join("tenants.json.new")).expect("in the way");
        let refused = tenants.add(tenant("two", "two.test", "echo")).await;
        assert!(matches!(refused, Err(TenantError::Store(_))));
        assert_eq!(names(&tenants).await, []);
    }
}
