//! The node itself: its description, modules, log channels, configuration objects and global variables.

use super::operations;
use crate::ari::AriClient;
use crate::ari::error::AriError;
use crate::ari::model::{AsteriskInfo, AsteriskPing, ConfigTuple, LogChannel, Module, Variable};

operations! {
    OBJECT = GET "/asterisk/config/dynamic/{configClass}/{objectType}/{id}" "asterisk.object";
    UPDATE_OBJECT = PUT "/asterisk/config/dynamic/{configClass}/{objectType}/{id}" "asterisk.update_object";
    DELETE_OBJECT = DELETE "/asterisk/config/dynamic/{configClass}/{objectType}/{id}" "asterisk.delete_object";
    INFO = GET "/asterisk/info" "asterisk.info";
    PING = GET "/asterisk/ping" "asterisk.ping";
    MODULES = GET "/asterisk/modules" "asterisk.modules";
    MODULE = GET "/asterisk/modules/{moduleName}" "asterisk.module";
    LOAD_MODULE = POST "/asterisk/modules/{moduleName}" "asterisk.load_module";
    UNLOAD_MODULE = DELETE "/asterisk/modules/{moduleName}" "asterisk.unload_module";
    RELOAD_MODULE = PUT "/asterisk/modules/{moduleName}" "asterisk.reload_module";
    LOG_CHANNELS = GET "/asterisk/logging" "asterisk.log_channels";
    ADD_LOG = POST "/asterisk/logging/{logChannelName}" "asterisk.add_log";
    DELETE_LOG = DELETE "/asterisk/logging/{logChannelName}" "asterisk.delete_log";
    ROTATE_LOG = PUT "/asterisk/logging/{logChannelName}/rotate" "asterisk.rotate_log";
    VARIABLE = GET "/asterisk/variable" "asterisk.variable";
    SET_VARIABLE = POST "/asterisk/variable" "asterisk.set_variable";
}

/// Operations on `/asterisk`.
#[derive(Debug, Clone, Copy)]
pub struct Asterisk<'a>(pub(super) &'a AriClient);

impl Asterisk<'_> {
    /// Retrieve a dynamic configuration object.
    pub async fn object(&self, config_class: &str, object_type: &str, id: &str) -> Result<Vec<ConfigTuple>, AriError> {
        self.0.fetch(OBJECT.at(&[config_class, object_type, id])).await
    }

    /// Create or update a dynamic configuration object.
    pub async fn update_object(
        &self,
        config_class: &str,
        object_type: &str,
        id: &str,
        fields: &[ConfigTuple],
    ) -> Result<Vec<ConfigTuple>, AriError> {
        let tuples: Vec<_> = fields
            .iter()
            .map(|tuple| serde_json::json!({ "attribute": tuple.attribute, "value": tuple.value }))
            .collect();
        self.0.fetch(UPDATE_OBJECT.at(&[config_class, object_type, id]).field("fields", tuples)).await
    }

    /// Delete a dynamic configuration object.
    pub async fn delete_object(&self, config_class: &str, object_type: &str, id: &str) -> Result<(), AriError> {
        self.0.run(DELETE_OBJECT.at(&[config_class, object_type, id])).await
    }

    /// Asterisk system information: all of it, or only the sections named (`build`, `system`, `config`, `status`).
    pub async fn info(&self, only: &[&str]) -> Result<AsteriskInfo, AriError> {
        self.0.fetch(INFO.at(&[]).query("only", only.iter().copied())).await
    }

    /// The time by the node. Answers even when Asterisk is deadlocked: no health check by itself.
    pub async fn ping(&self) -> Result<AsteriskPing, AriError> {
        self.0.fetch(PING.at(&[])).await
    }

    /// List Asterisk modules.
    pub async fn modules(&self) -> Result<Vec<Module>, AriError> {
        self.0.fetch(MODULES.at(&[])).await
    }

    /// Get Asterisk module information.
    pub async fn module(&self, module_name: &str) -> Result<Module, AriError> {
        self.0.fetch(MODULE.at(&[module_name])).await
    }

    /// Load an Asterisk module.
    pub async fn load_module(&self, module_name: &str) -> Result<(), AriError> {
        self.0.run(LOAD_MODULE.at(&[module_name])).await
    }

    /// Unload an Asterisk module.
    pub async fn unload_module(&self, module_name: &str) -> Result<(), AriError> {
        self.0.run(UNLOAD_MODULE.at(&[module_name])).await
    }

    /// Reload an Asterisk module.
    pub async fn reload_module(&self, module_name: &str) -> Result<(), AriError> {
        self.0.run(RELOAD_MODULE.at(&[module_name])).await
    }

    /// Gets Asterisk log channel information.
    pub async fn log_channels(&self) -> Result<Vec<LogChannel>, AriError> {
        self.0.fetch(LOG_CHANNELS.at(&[])).await
    }

    /// Adds a log channel.
    pub async fn add_log(&self, log_channel_name: &str, configuration: &str) -> Result<(), AriError> {
        self.0.run(ADD_LOG.at(&[log_channel_name]).field("configuration", configuration)).await
    }

    /// Deletes a log channel.
    pub async fn delete_log(&self, log_channel_name: &str) -> Result<(), AriError> {
        self.0.run(DELETE_LOG.at(&[log_channel_name])).await
    }

    /// Rotates a log channel.
    pub async fn rotate_log(&self, log_channel_name: &str) -> Result<(), AriError> {
        self.0.run(ROTATE_LOG.at(&[log_channel_name])).await
    }

    /// Get the value of a global variable.
    pub async fn variable(&self, variable: &str) -> Result<Variable, AriError> {
        self.0.fetch(VARIABLE.at(&[]).query("variable", [variable])).await
    }

    /// Set the value of a global variable.
    pub async fn set_variable(&self, variable: &str, value: &str) -> Result<(), AriError> {
        self.0.run(SET_VARIABLE.at(&[]).field("variable", variable).field("value", value)).await
    }
}
