//! SIGHUP: reads the settings again and puts into effect what can change while calls run.

use std::sync::Arc;

use secrecy::ExposeSecret;
use serde_json::Value;

use super::notify;
use crate::api::ReloadReply;
use crate::apps::Tenants;
use crate::config::{self, Config, Sources};
use crate::pool::Pool;
use crate::telemetry::LogControl;

/// Sections that change at once, as a whole.
const LIVE: [&str; 2] = ["nodes", "tenants"];

/// Knows what is in effect, and changes it.
pub(super) struct Reloader {
    now: Config,
    sources: Sources,
    log: LogControl,
    tenants: Arc<Tenants>,
    pool: Pool,
}

impl Reloader {
    /// `now` is in effect, and came from `sources`.
    pub(super) fn new(now: Config, sources: Sources, log: LogControl, tenants: Arc<Tenants>, pool: Pool) -> Self {
        Self { now, sources, log, tenants, pool }
    }

    /// Reads the settings again. Mistakes are logged, and then nothing changes.
    pub(super) async fn reload(&mut self) {
        notify(&[sd_notify::NotifyState::Reloading]);
        match config::load(&self.sources) {
            Ok(config) => match self.put_into_effect(&config).await {
                Ok(()) => {
                    let waiting = waiting(&self.now, &config);
                    if waiting.is_empty() {
                        tracing::info!("the settings were read again");
                    } else {
                        tracing::warn!(
                            sections = waiting.join(", "),
                            "the settings were read again; these sections need a restart"
                        );
                    }
                    self.now = Config { nodes: config.nodes, tenants: config.tenants, ..self.now.clone() };
                }
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), "not all of the settings could be put into effect");
                }
            },
            Err(problems) => {
                for problem in &problems.0 {
                    tracing::error!(%problem, "a mistake in the settings; everything stays as it was");
                }
            }
        }
        notify(&[sd_notify::NotifyState::Ready]);
    }

    /// Reads the tenants of all files again, and nothing else; says how many there are, or what is wrong with the settings.
    pub(super) async fn reload_directory(&mut self, reply: ReloadReply) {
        let done = match config::load(&self.sources) {
            Ok(config) => match self.tenants.declare(config.tenants.clone()).await {
                Ok(()) => {
                    let count = config.tenants.len();
                    tracing::info!(tenants = count, "the directory was read again");
                    self.now.tenants = config.tenants;
                    Ok(count)
                }
                Err(refusal) => Err(refusal.to_string()),
            },
            Err(problems) => Err(problems.to_string()),
        };
        if let Err(problems) = &done {
            tracing::error!(problems, "the directory stays as it was");
        }
        // Whoever asked may have gone.
        let _ = reply.send(done);
    }

    async fn put_into_effect(&self, config: &Config) -> anyhow::Result<()> {
        self.tenants.declare(config.tenants.clone()).await?;
        self.log.set_level(&config.log)?;
        self.pool.declare(config.node_specs()?).await?;
        Ok(())
    }
}

/// The sections that differ from what is in effect and do not change while kamari runs.
fn waiting(now: &Config, wanted: &Config) -> Vec<String> {
    let sections = |config: &Config| match serde_json::to_value(config) {
        Ok(Value::Object(mut sections)) => {
            // Of the log only the level changes at once.
            if let Some(log) = sections.get_mut("log").and_then(Value::as_object_mut) {
                log.remove("level");
            }
            sections
        }
        _ => serde_json::Map::new(),
    };
    // Written out, all passwords are the same word.
    let password = |config: &Config| config.pool.password.as_ref().map(|secret| secret.expose_secret().to_owned());
    let other_password = password(now) != password(wanted);
    let now = sections(now);
    let wanted = sections(wanted);
    let differs = |(name, value): (String, Value)| {
        let other = now.get(&name) != Some(&value) || (name == "pool" && other_password);
        (!LIVE.contains(&name.as_str()) && other).then_some(name)
    };
    wanted.into_iter().filter_map(differs).collect()
}

#[cfg(test)]
mod tests {
    use super::waiting;
    use crate::config::Config;

    #[test]
    fn what_needs_a_restart_is_named_a_password_among_it() {
        let now = Config::default();
        let mut wanted = Config::default();
        assert_eq!(waiting(&now, &wanted), Vec::<String>::new());
        wanted.pool.password = Some("one".to_owned().into());
        assert_eq!(waiting(&now, &wanted), ["pool"]);
        let now = wanted.clone();
        wanted.pool.password = Some("another".to_owned().into());
        assert_eq!(waiting(&now, &wanted), ["pool"]);
        assert_eq!(waiting(&wanted, &wanted), Vec::<String>::new());
    }
}
