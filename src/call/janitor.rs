//! Looks now and then for what no call owns, and removes it.
//!
//! A take-over sweeps at once (`adopt`); this finds the rest: what a request created after its node had seemed lost, what could
//! not be removed because the node did not answer, a room's bridge whose members hung up before they were found again. An
//! object goes only if it bears our prefix, is not registered, is claimed by no call that lives, and was so at the look
//! before too: what is being created is registered first, but what is being removed may still be listed.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::time::{MissedTickBehavior, interval};

use super::handler::{remove_bridge, remove_channel};
use super::ids::Kind;
use super::runtime::Shared;
use super::site::Site;
use crate::ari::AriError;

/// Watches one node until its events no longer arrive.
pub(super) async fn watch(shared: Arc<Shared>, site: Arc<Site>) {
    let mut looks = interval(shared.settings.orphan_check());
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut suspects = Orphans::default();
    loop {
        tokio::select! {
            () = site.closed() => return,
            _ = looks.tick() => {}
        }
        site.forget_departed();
        match look(&site).await {
            Ok(found) => {
                found.seen_again(&suspects).remove(&shared, &site).await;
                suspects = found;
            }
            // The monitor says what is wrong with the node.
            Err(error) => tracing::debug!(node = %site.name, %error, "no look for orphans"),
        }
    }
}

/// Ids of objects that nobody owns.
#[derive(Debug, Default)]
struct Orphans {
    channels: HashSet<String>,
    bridges: HashSet<String>,
}

async fn look(site: &Site) -> Result<Orphans, AriError> {
    let ari = site.link().ari.clone();
    let channels = ari.applications().get(ari.target().app()).await?.channel_ids;
    let bridges = ari.bridges().list().await?;
    let claimed: HashSet<String> = site.calls().iter().flat_map(|core| core.claims()).collect();
    let orphan = |id: &String| Kind::of(id).is_some() && !site.has(id) && !claimed.contains(id);
    Ok(Orphans {
        channels: channels.into_iter().filter(orphan).collect(),
        bridges: bridges.into_iter().map(|bridge| bridge.id).filter(orphan).collect(),
    })
}

impl Orphans {
    fn seen_again(&self, before: &Self) -> Self {
        Self {
            channels: self.channels.intersection(&before.channels).cloned().collect(),
            bridges: self.bridges.intersection(&before.bridges).cloned().collect(),
        }
    }

    async fn remove(self, shared: &Shared, site: &Site) {
        if !site.link().commands_allowed() {
            return;
        }
        for channel in self.channels {
            tracing::warn!(node = %site.name, channel, "a channel that no call owns is hung up");
            shared.metrics.orphans.inc();
            remove_channel(site, &channel).await;
        }
        for bridge in self.bridges {
            tracing::warn!(node = %site.name, bridge, "a bridge that no call owns is removed");
            remove_bridge(site, &bridge).await;
        }
    }
}
