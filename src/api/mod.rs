//! The operator's HTTP API.

mod settings;

pub use settings::Settings;
