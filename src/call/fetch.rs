//! What others than calls ask of nodes: recordings that were left there, and media that a node is to fetch anew.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::handler::remove_bridge;
use super::ids::Kind;
use super::runtime::Runtime;
use super::site::Target;
use crate::ari::rest::bridges::{CreateBridge, Play};
use crate::ari::{AriClient, AriError};
use crate::pool::NodeName;

/// How often it is looked whether a node is done with media that nobody hears.
const LOOK: Duration = Duration::from_millis(50);
/// How long that may take.
const LONGEST: Duration = Duration::from_secs(10);

impl Runtime {
    /// The way to command a node; nothing while it is down, not known, or another controller's.
    pub fn ari(&self, node: &str) -> Option<AriClient> {
        let site = self.site(&NodeName::new(node).ok()?)?;
        let link = site.link();
        link.commands_allowed().then(|| link.ari.clone())
    }

    /// Has a node play media to nobody, in a bridge of its own: it asks the media's server anew. Says whether the node could
    /// be asked.
    pub async fn play_to_nobody(&self, node: &str, media: &str) -> Result<bool, AriError> {
        let Some(site) = NodeName::new(node).ok().and_then(|name| self.site(&name)) else { return Ok(false) };
        let Some(ari) = self.ari(node) else { return Ok(false) };
        let (bridge, playback) = (self.new_id(Kind::Bridge), self.new_id(Kind::Playback));
        site.register(&bridge, Target::Bridge);
        let create = CreateBridge { kind: Some("mixing".to_owned()), ..CreateBridge::default() };
        let played = async {
            ari.bridges().create_with_id(&bridge, &create).await?;
            let play = Play { media: vec![media.to_owned()], ..Play::default() };
            ari.bridges().play_with_id(&bridge, &playback, &play).await?;
            // Nobody is in the bridge, so no event tells of the end.
            let end = Instant::now() + LONGEST;
            while Instant::now() < end {
                match ari.playbacks().get(&playback).await {
                    Err(error) if error.is_gone() => break,
                    other => other.map(|_| ())?,
                }
                sleep(LOOK).await;
            }
            Ok(())
        };
        let played = played.await;
        remove_bridge(&site, &bridge).await;
        site.forget(&bridge);
        played.map(|()| true)
    }
}
