//! kamari cannot hear the nodes, which serve their calls all the same: Kamailio tells it of the calls that end.

use crate::lab::{KamailioVersion, Lab, wait_until};
use crate::stage::{SOON, Stage};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The network between kamari and a node's ARI. It can fall silent, as a proxy there does that stalls: nothing is refused, nothing
/// passes, and all that was held back comes at once in the end. Attempts to open the event socket that kamari has long given up
/// reach the node then, and replace the one that it has just opened; that is no other controller.
struct Network {
    address: SocketAddr,
    silent: Arc<AtomicBool>,
}

impl Network {
    fn to(node: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("an address");
        let address = listener.local_addr().expect("bound");
        let silent = Arc::new(AtomicBool::new(false));
        let quiet = silent.clone();
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(node) else { continue };
                for (from, to) in [(near.try_clone(), far.try_clone()), (Ok(far), Ok(near))] {
                    let (from, to, quiet) = (from.expect("a socket"), to.expect("a socket"), quiet.clone());
                    std::thread::spawn(move || pass(from, to, &quiet));
                }
            }
        });
        Self { address, silent }
    }

    fn fall_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::Relaxed);
    }
}

/// Passes on what comes, until one end is closed and nothing holds that back.
fn pass(mut from: TcpStream, mut to: TcpStream, silent: &AtomicBool) {
    let mut buffer = [0; 16 << 10];
    loop {
        let read = from.read(&mut buffer).unwrap_or(0);
        while silent.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(20));
        }
        if read == 0 || to.write_all(&buffer[..read]).is_err() {
            let _ = to.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}

#[test]
fn calls_that_end_while_kamari_cannot_hear_the_nodes_are_told_by_kamailio() {
    let lab = Lab::start();
    let node = lab.node(1);
    let network = Network::to(SocketAddr::from((node.address, 8088)));
    let kamailio = lab.kamailio(KamailioVersion::V6_1, &[]);
    let declared = node.toml(100).replace(&node.ari_url(), &format!("http://{}/ari", network.address));
    let tenants =
        "[[tenants]]\nname = \"example\"\ndomains = [\"example.test\"]\nextensions.110 = { app = \"echo\" }\n";
    let kamari = lab.kamari(&format!("{declared}{tenants}"));
    let stage = Stage { nodes: vec![node], kamari, kamailio, lab };
    stage.wait_for_node("node1", "up");
    let mut callers: Vec<_> = (1..=3).map(|n| stage.lab.phone(n).call("110")).collect();
    let calls = || stage.kamari.get("/v1/nodes/node1")["calls"].as_u64();
    wait_until("three calls to be known", SOON, || calls() == Some(3));

    network.fall_silent(true);
    // Kamailio learns with the next answer what kamari wants. Nobody takes these calls, and the callers give up.
    let others = stage.lab.calls("110").count(40).rate(4.0).cancel_after(Duration::from_secs(1)).start();
    wait_until("kamari to ask for the ends", SOON, || stage.kamailio.log().contains("KAMARI cannot hear the nodes"));
    assert_eq!(calls(), Some(3), "nobody has told it of an end");
    callers.pop().expect("a call").hang_up();
    wait_until("the end to be known in the dark", SOON, || calls() == Some(2));
    assert_ne!(stage.node_field("node1", "state"), "up", "it is not heard");
    others.wait();

    network.fall_silent(false);
    // Long before kamari would take the node back from another controller.
    stage.wait_for_node("node1", "up");
    wait_until("the same to be read from the node", SOON, || calls() == Some(2) && stage.calls() == 2);
    callers.pop().expect("a call").hang_up();
    wait_until("the node's own word to count again", SOON, || calls() == Some(1));
    callers.pop().expect("a call").hang_up();
    stage.assert_nothing_left();
}
