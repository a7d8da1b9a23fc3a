//! Sounds installed on the node.

use super::operations;
use crate::ari::AriClient;
use crate::ari::error::AriError;
use crate::ari::model::Sound;

operations! {
    LIST = GET "/sounds" "sounds.list";
    GET = GET "/sounds/{soundId}" "sounds.get";
}

/// Operations on `/sounds`.
#[derive(Debug, Clone, Copy)]
pub struct Sounds<'a>(pub(super) &'a AriClient);

impl Sounds<'_> {
    /// List all sounds.
    pub async fn list(&self, lang: Option<&str>, format: Option<&str>) -> Result<Vec<Sound>, AriError> {
        self.0.fetch(LIST.at(&[]).query("lang", lang).query("format", format)).await
    }

    /// Get a sound's details.
    pub async fn get(&self, sound_id: &str) -> Result<Sound, AriError> {
        self.0.fetch(GET.at(&[sound_id])).await
    }
}
