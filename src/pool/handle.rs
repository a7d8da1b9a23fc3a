//! The pool as the rest of the program holds it: questions and orders to the registry, and what it publishes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::Guard;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::event::{Intent, PoolEvent};
use super::link::NodeListener;
use super::name::NodeName;
use super::registry::Registry;
use super::routing::Routing;
use super::settings::Settings;
use super::snapshot::Snapshot;
use super::spec::{NodePatch, NodeSpec};
use super::status::NodeStatus;
use super::store::StoreError;
use crate::invalid::Invalid;
use crate::telemetry::{AriMetrics, PoolMetrics};
use crate::{ari, balance};

/// Orders that may wait for the registry.
const ORDERS: usize = 256;

/// Why the pool did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// There is no such node.
    #[error("there is no node {0}")]
    Unknown(NodeName),
    /// A node of that name is there already.
    #[error("there is a node {0} already")]
    Exists(NodeName),
    /// The pool has no room for another node.
    #[error("the pool is full: it holds {0} nodes (balance.max_nodes)")]
    Full(usize),
    /// A value was refused.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The state file cannot be used; or the change is in effect and could not be written to it, and so would not
    /// survive a restart. It is written again with the next change.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// kamari is shutting down.
    #[error("the pool is shutting down")]
    Stopped,
}

/// What a pool is made of.
pub struct Parts {
    /// `[pool]`.
    pub settings: Settings,
    /// `[balance]`.
    pub balance: balance::Settings,
    /// `[ari]`.
    pub ari: ari::Settings,
    /// The nodes that the configuration file declares.
    pub nodes: Vec<NodeSpec>,
    /// Who hears the nodes' events.
    pub listener: Arc<dyn NodeListener>,
    /// Metrics of the pool.
    pub metrics: Arc<PoolMetrics>,
    /// Metrics of the traffic with the nodes.
    pub ari_metrics: Arc<AriMetrics>,
}

/// The pool. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pool {
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) routing: Arc<Routing>,
    pub(super) events: broadcast::Sender<PoolEvent>,
    pub(super) checked: Arc<AtomicBool>,
    pub(super) stop: CancellationToken,
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, PoolError>>;

/// What the registry is asked.
#[derive(Debug)]
pub(super) enum Order {
    Add(NodeSpec, Reply<NodeStatus>),
    Remove(NodeName, Reply<NodeStatus>),
    Patch(NodeName, NodePatch, Reply<NodeStatus>),
    Intent(NodeName, Intent, Reply<NodeStatus>),
    Declare(Vec<NodeSpec>, Reply<()>),
    Get(NodeName, Reply<NodeStatus>),
    List(Reply<Vec<NodeStatus>>),
}

impl Pool {
    /// Reads the state file, and starts to watch the nodes. Ends when [`Pool::stop`] is called; the task returned is over
    /// when every node was let go of.
    pub fn start(parts: Parts) -> Result<(Self, JoinHandle<()>), PoolError> {
        parts.settings.validate().map_err(|refusal| refusal.within("pool"))?;
        let (orders, received) = mpsc::channel(ORDERS);
        let (registry, routing) = Registry::new(parts, received)?;
        let pool = Self {
            orders,
            routing,
            events: registry.events(),
            checked: registry.checked(),
            stop: registry.stop_token(),
        };
        Ok((pool, tokio::spawn(registry.run())))
    }

    /// Ends the watch over all nodes. Their calls go on.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Adds a node and begins to watch it. Returns at once; the node's state says what is wrong, if anything is.
    pub async fn add(&self, spec: NodeSpec) -> Result<NodeStatus, PoolError> {
        self.ask(|reply| Order::Add(spec, reply)).await
    }

    /// Removes a node, whatever is on it; also after a restart it stays removed. Returns how it was.
    pub async fn remove(&self, name: &NodeName) -> Result<NodeStatus, PoolError> {
        self.ask(|reply| Order::Remove(name.clone(), reply)).await
    }

    /// Changes where a node is, what it may carry, or how to log in.
    pub async fn patch(&self, name: &NodeName, patch: NodePatch) -> Result<NodeStatus, PoolError> {
        self.ask(|reply| Order::Patch(name.clone(), patch, reply)).await
    }

    /// Sets what the operator wants of a node. From the moment this returns, no lookup promises a call to a node that
    /// is not [`Intent::Active`]. `Active` also takes back a node that another controller had taken over.
    pub async fn set_intent(&self, name: &NodeName, intent: Intent) -> Result<NodeStatus, PoolError> {
        self.ask(|reply| Order::Intent(name.clone(), intent, reply)).await
    }

    /// Takes `nodes` as what the configuration file declares now. What was said at run time stands, unless the file says
    /// something else of a node than it did then. Nodes that stay the same do not notice.
    pub async fn declare(&self, nodes: Vec<NodeSpec>) -> Result<(), PoolError> {
        self.ask(|reply| Order::Declare(nodes, reply)).await
    }

    /// One node.
    pub async fn get(&self, name: &NodeName) -> Result<NodeStatus, PoolError> {
        self.ask(|reply| Order::Get(name.clone(), reply)).await
    }

    /// All nodes, by name.
    pub async fn list(&self) -> Result<Vec<NodeStatus>, PoolError> {
        self.ask(Order::List).await
    }

    /// Every change from now on. A receiver that falls far behind is told so, and reads [`Pool::list`] again.
    pub fn subscribe(&self) -> broadcast::Receiver<PoolEvent> {
        self.events.subscribe()
    }

    /// The pool as lookups see it now.
    pub fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.routing.snapshot()
    }

    /// What answers lookups.
    pub fn routing(&self) -> &Arc<Routing> {
        &self.routing
    }

    /// Whether every node was once found up, or failed a check, since the start: whether lookups can be answered well.
    pub fn is_checked(&self) -> bool {
        self.checked.load(Ordering::Acquire)
    }

    async fn ask<T>(&self, order: impl FnOnce(Reply<T>) -> Order) -> Result<T, PoolError> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(order(reply)).await.map_err(|_| PoolError::Stopped)?;
        answer.await.map_err(|_| PoolError::Stopped)?
    }
}
