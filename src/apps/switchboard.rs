//! Finds the app of a call and runs it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::app::{AnyApp, Catalogue, Next};
use crate::call::{AppError, Call, Handler};
use crate::directory::{Directory, TenantSettings};
use crate::invalid::Invalid;
use crate::media::Prompts;

/// The directory of all tenants, with their apps built. Calls that run keep the directory that they began with.
#[derive(Debug)]
pub struct Switchboard {
    catalogue: Catalogue,
    prompts: Arc<Prompts>,
    directory: ArcSwap<Directory<Arc<dyn AnyApp>>>,
}

/// A directory that was built and is not in effect yet.
pub(super) struct Prepared(Directory<Arc<dyn AnyApp>>);

impl Switchboard {
    /// Builds the directory, or names the field that is wrong.
    pub fn new(catalogue: Catalogue, prompts: Arc<Prompts>, tenants: &[TenantSettings]) -> Result<Self, Invalid> {
        let directory = build(&catalogue, &prompts, tenants)?;
        directory.targets().for_each(|app| app.installed());
        Ok(Self { catalogue, prompts, directory: ArcSwap::from_pointee(directory) })
    }

    /// Everything that a directory of these tenants would be refused for.
    pub fn problems(catalogue: &Catalogue, prompts: &Prompts, tenants: &[TenantSettings]) -> Vec<Invalid> {
        Directory::problems(tenants, |owner, extension| catalogue.build(owner, extension, prompts))
    }

    /// Builds a directory to be put into effect later, or names the field that is wrong.
    pub(super) fn prepare(&self, tenants: &[TenantSettings]) -> Result<Prepared, Invalid> {
        build(&self.catalogue, &self.prompts, tenants).map(Prepared)
    }

    /// Puts a directory into effect as a whole.
    pub(super) fn install(&self, prepared: Prepared) {
        prepared.0.targets().for_each(|app| app.installed());
        self.directory.store(Arc::new(prepared.0));
    }

    /// Whose number this is at this domain, if anybody's.
    pub(super) fn tenant_of(&self, domain: &str, number: &str) -> Option<Arc<str>> {
        self.directory.load().find(domain, number).ok().map(|found| Arc::clone(found.tenant))
    }

    async fn connect(&self, call: &mut Call) -> Result<(), AppError> {
        let domain = call.domain().await?;
        let directory = self.directory.load_full();
        let found = match directory.find(&domain, call.extension()) {
            Ok(found) => found,
            Err(unknown) => {
                let (node, extension) = (call.node(), call.extension());
                tracing::info!(%node, call = call.id(), domain, extension, reason = %unknown, "no app for a call");
                return call.not_found().await.map_err(AppError::from);
            }
        };
        call.assign(found.tenant, found.target.name());
        let mut app = found.target;
        // Ends: a call is handed on a bounded number of times.
        while let Next::Extension(number) = app.run(call).await? {
            let found = directory.find(&domain, &number).map_err(AppError::other)?;
            app = found.target;
            call.hand_on(&number, app.name()).await?;
        }
        Ok(())
    }
}

impl Handler for Switchboard {
    fn serve<'a>(&'a self, call: &'a mut Call) -> BoxFuture<'a, Result<(), AppError>> {
        self.connect(call).boxed()
    }
}

fn build(
    catalogue: &Catalogue,
    prompts: &Prompts,
    tenants: &[TenantSettings],
) -> Result<Directory<Arc<dyn AnyApp>>, Invalid> {
    Directory::build(tenants, |owner, extension| catalogue.build(owner, extension, prompts))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Switchboard;
    use crate::apps::Catalogue;
    use crate::directory::TenantSettings;
    use crate::media::{MediaSettings, Prompts};

    /// What a directory with one extension of these settings is refused for: the field.
    fn refused(extension: &str) -> Option<String> {
        let text = format!("name = \"one\"\ndomains = [\"one.test\"]\n[extensions]\n\"600\" = {extension}");
        let tenant: TenantSettings = toml::from_str(&text).expect("TOML of a tenant");
        let prompts = Arc::new(Prompts::new(&MediaSettings::default()));
        let built = Switchboard::new(Catalogue::default(), prompts, &[tenant]);
        built.err().map(|refused| refused.field.replace("tenants[0].extensions.\"600\".", ""))
    }

    #[test]
    fn good_parameters_of_every_app_are_taken() {
        for extension in [
            r#"{ app = "echo" }"#,
            r#"{ app = "playback", prompts = "hello" }"#,
            r#"{ app = "playback", prompts = ["hello", "sound:demo-congrats"] }"#,
            r#"{ app = "playback", prompts = "hello", then = "600" }"#,
            r#"{ app = "conference" }"#,
            r#"{ app = "conference", room = "a", join = [], leave = "beep", alone = ["music", "beep"] }"#,
            r#"{ app = "dial", to = "bob" }"#,
            r#"{ app = "dial", to = ["bob", "+49301234@gateway.test", "{number}"], strategy = "serial", timeout_s = 5 }"#,
            r#"{ app = "dial", to = "bob", caller_id = "100", caller_name = "Us", busy_then = "600", music_on_hold = [] }"#,
            r#"{ app = "conference", pin = "12", moderator_pin = "99", max_members = 3, menu = false }"#,
            r#"{ app = "conference", moderator_pin = "99", wait_for_moderator = true, end_with_moderator = true }"#,
            r#"{ app = "reject" }"#,
            r#"{ app = "reject", sip = 486 }"#,
            r#"{ app = "reject", cause = 21 }"#,
        ] {
            assert_eq!(refused(extension), None, "{extension}");
        }
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        for (extension, field) in [
            (r#"{ app = "absent" }"#, "app"),
            (r#"{ app = "echo", loud = true }"#, "loud"),
            (r#"{ app = "playback" }"#, "prompts"),
            (r#"{ app = "playback", prompts = [] }"#, "prompts"),
            (r#"{ app = "playback", prompts = "absent" }"#, "prompts"),
            (r#"{ app = "playback", prompts = ["hello", 3] }"#, "prompts"),
            (r#"{ app = "playback", prompts = "hello", then = "601" }"#, "then"),
            (r#"{ app = "playback", prompts = "hello", then = 600 }"#, "then"),
            (r#"{ app = "conference", room = "" }"#, "room"),
            (r#"{ app = "conference", room = 600 }"#, "room"),
            (r#"{ app = "conference", join = "absent" }"#, "join"),
            (r#"{ app = "dial" }"#, "to"),
            (r#"{ app = "dial", to = [] }"#, "to"),
            (r#"{ app = "dial", to = "b/ob" }"#, "to"),
            (r#"{ app = "dial", to = [3] }"#, "to"),
            (r#"{ app = "dial", to = "bob", strategy = "random" }"#, "strategy"),
            (r#"{ app = "dial", to = "bob", timeout_s = 0 }"#, "timeout_s"),
            (r#"{ app = "dial", to = "bob", busy_then = "absent" }"#, "busy_then"),
            (r#"{ app = "dial", to = "bob", no_answer_then = "absent" }"#, "no_answer_then"),
            (r#"{ app = "dial", to = "bob", failed_then = "absent" }"#, "failed_then"),
            (r#"{ app = "conference", pin = "" }"#, "pin"),
            (r#"{ app = "conference", pin = "12a" }"#, "pin"),
            (r#"{ app = "conference", pin = 12 }"#, "pin"),
            (r#"{ app = "conference", pin = "12", moderator_pin = "12" }"#, "moderator_pin"),
            (r#"{ app = "conference", pin = "12", wait_for_moderator = true }"#, "wait_for_moderator"),
            (r#"{ app = "conference", max_members = 0 }"#, "max_members"),
            (r#"{ app = "reject", sip = 200 }"#, "sip"),
            (r#"{ app = "reject", sip = 499 }"#, "sip"),
            (r#"{ app = "reject", sip = 486, cause = 17 }"#, "cause"),
            (r#"{ app = "reject", cause = 0 }"#, "cause"),
        ] {
            assert_eq!(refused(extension).as_deref(), Some(field), "{extension}");
        }
    }
}
