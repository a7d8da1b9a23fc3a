//! A phone: baresip, which signals and carries RTP as phones do, says what it is given and records what it hears.

mod control;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

use super::audio::{read_wav, tone, write_wav};
use super::{DOMAIN, Script, wait_until};
use control::{Control, Event};

/// How long a call may take to be answered or refused: longer than a node holds one, and than Kamailio tries others.
const ANSWER: Duration = Duration::from_secs(40);
/// How long baresip may take for what it does by itself.
const SOON: Duration = Duration::from_secs(15);
/// Seconds of audio that a phone has to say at most, when it is to say a tone.
const TONE_SECONDS: f64 = 60.0;

/// A phone to be started: `phoneN@example.test` behind Kamailio's edge, with nothing to say, unless told otherwise.
#[derive(Clone, Debug)]
pub struct Builder {
    script: Script,
    number: u8,
    address: SocketAddrV4,
    proxy: SocketAddrV4,
    control: SocketAddrV4,
    user: String,
    domain: String,
    password: String,
    answer: &'static str,
    says: Vec<i16>,
}

impl Builder {
    pub(super) fn new(script: &Script, address: Ipv4Addr, number: u8) -> Self {
        let [a, b, _, _] = address.octets();
        Self {
            script: script.clone(),
            number,
            address: SocketAddrV4::new(address, 5060),
            proxy: SocketAddrV4::new(Ipv4Addr::new(a, b, 0, 5), 5060),
            control: SocketAddrV4::new(Ipv4Addr::new(a, b, 3, number), 4444),
            user: format!("phone{number}"),
            domain: DOMAIN.to_owned(),
            password: "none".to_owned(),
            answer: "manual",
            says: Vec::new(),
        }
    }

    /// Whose phone it is, and the password in case it is asked for.
    #[must_use]
    pub fn user(mut self, user: &str, domain: &str, password: &str) -> Self {
        user.clone_into(&mut self.user);
        domain.clone_into(&mut self.domain);
        password.clone_into(&mut self.password);
        self
    }

    /// Sends all requests to `proxy` (Kamailio's edge unless said).
    #[must_use]
    pub fn via(mut self, proxy: Ipv4Addr) -> Self {
        self.proxy = SocketAddrV4::new(proxy, 5060);
        self
    }

    /// Signals from this address (a client address of its own, port 5060, unless said).
    #[must_use]
    pub fn from(mut self, address: SocketAddrV4) -> Self {
        self.address = address;
        self
    }

    /// Says a tone of `hertz` at -12 dBFS, for a minute.
    #[must_use]
    pub fn tone(self, hertz: f64) -> Self {
        let says = tone(hertz, -12.0, TONE_SECONDS);
        self.says(says)
    }

    /// Says these samples (8 kHz).
    #[must_use]
    pub fn says(mut self, samples: Vec<i16>) -> Self {
        self.says = samples;
        self
    }

    /// Answers every call at once.
    #[must_use]
    pub fn answering(mut self) -> Self {
        self.answer = "auto";
        self
    }

    /// Starts the phone; it neither calls nor registers yet.
    #[track_caller]
    pub fn start(mut self) -> Phone {
        let name = format!("phone{}", self.number);
        let directory = self.script.run_directory().join(&name);
        if self.says.is_empty() {
            self.says = vec![0; (TONE_SECONDS * f64::from(super::audio::RATE)) as usize];
        }
        std::fs::create_dir_all(&directory).expect("the run directory can be written");
        write_wav(&directory.join("say.wav"), &self.says).expect("the run directory can be written");
        self.script.run(&[
            "phone",
            &name,
            &self.address.ip().to_string(),
            &self.address.port().to_string(),
            &self.proxy.to_string(),
            &self.user,
            &self.domain,
            &self.password,
            self.answer,
        ]);
        Phone {
            control: Control::connect(self.control).expect("the phone's control port answers"),
            script: self.script,
            name,
            directory,
            domain: self.domain,
        }
    }

    /// Starts the phone, calls `user` and returns when the call is up; fails with the reason when it is refused.
    #[track_caller]
    pub fn call(self, user: &str) -> Phone {
        let mut phone = self.start();
        if let Err(reason) = phone.call(user) {
            panic!("{} called {user}: {reason}", phone.name);
        }
        phone
    }
}

/// A running phone with at most one call. Dropping it ends it.
#[derive(Debug)]
pub struct Phone {
    script: Script,
    name: String,
    directory: PathBuf,
    domain: String,
    control: Control,
}

/// What a phone heard in one call.
#[derive(Clone, Debug)]
pub struct Received {
    /// The audio, 8000 samples a second, from the first on; lost packets are silence.
    pub samples: Vec<i16>,
    /// Why the call ended, in baresip's words; empty when the phone itself hung up.
    pub reason: String,
}

impl Phone {
    /// Calls `user` at the phone's own domain. `Err` is the final response or other reason.
    pub fn call(&mut self, user: &str) -> Result<(), String> {
        self.control.command("dial", &format!("sip:{user}@{}", self.domain));
        match self.control.wait_for(ANSWER, &["CALL_ESTABLISHED", "CALL_CLOSED"]) {
            Some(Event { kind, .. }) if kind == "CALL_ESTABLISHED" => Ok(()),
            Some(closed) => Err(closed.param),
            None => Err(format!("neither answered nor refused within {ANSWER:?}")),
        }
    }

    /// Registers at the proxy for ten minutes. `Err` is the reason of the refusal.
    pub fn register(&mut self) -> Result<(), String> {
        // baresip has no command to register; an account that is made anew with an interval does so at once, and this
        // way no event is missed.
        let account = std::fs::read_to_string(self.directory.join("accounts")).expect("written by the lab");
        self.control.command("uadelall", "");
        self.control.command("uanew", account.trim().replace("regint=0", "regint=600").as_str());
        match self.control.wait_for(SOON, &["REGISTER_OK", "REGISTER_FAIL"]) {
            Some(Event { kind, .. }) if kind == "REGISTER_OK" => Ok(()),
            Some(failed) => Err(failed.param),
            None => Err(format!("no answer within {SOON:?}")),
        }
    }

    /// Returns when a call that was made to this phone is up (see [`Builder::answering`]).
    #[track_caller]
    pub fn wait_called(&mut self) {
        let up = self.control.wait_for(ANSWER, &["CALL_ESTABLISHED"]);
        assert!(up.is_some(), "{} was not called within {ANSWER:?}", self.name);
    }

    /// Begins to call `user` at the phone's own domain, and returns at once.
    pub fn dial(&mut self, user: &str) {
        self.control.command("dial", &format!("sip:{user}@{}", self.domain));
    }

    /// Returns when the call that [`Phone::dial`] began rings at the other end.
    #[track_caller]
    pub fn wait_ringing(&mut self) {
        let rings = self.control.wait_for(ANSWER, &["CALL_RINGING"]);
        assert!(rings.is_some(), "{} heard no ringing within {ANSWER:?}", self.name);
    }

    /// Returns when the phone's call is up.
    #[track_caller]
    pub fn wait_up(&mut self) {
        let up = self.control.wait_for(ANSWER, &["CALL_ESTABLISHED", "CALL_CLOSED"]);
        match up {
            Some(Event { kind, .. }) if kind == "CALL_ESTABLISHED" => {}
            other => panic!("{}: the call did not come up: {other:?}", self.name),
        }
    }

    /// Returns when the phone is called, with the address of the one who calls: `sip:USER@DOMAIN`, or `NAME <sip:USER@DOMAIN>`.
    #[track_caller]
    pub fn wait_rung(&mut self) -> String {
        match self.control.wait_for(ANSWER, &["CALL_INCOMING"]) {
            Some(event) if event.name.is_empty() => event.param,
            Some(event) => format!("{} <{}>", event.name, event.param),
            None => panic!("{} was not called within {ANSWER:?}", self.name),
        }
    }

    /// Answers the call that rings.
    #[track_caller]
    pub fn answer(&mut self) {
        self.control.command("accept", "");
        self.wait_up();
    }

    /// Ends the phone's current call, whatever its state: refuses one that rings (486), cancels one that is being placed.
    pub fn end_call(&mut self) {
        self.control.command("hangup", "");
    }

    /// Returns when a call of this phone is over, with the reason.
    #[track_caller]
    pub fn wait_closed(&mut self) -> String {
        match self.control.wait_for(ANSWER, &["CALL_CLOSED"]) {
            Some(closed) => closed.param,
            None => panic!("no call of {} ended within {ANSWER:?}", self.name),
        }
    }

    /// Holds the other side.
    pub fn hold(&mut self) {
        self.control.command("hold", "");
    }

    /// Ends the hold. baresip does it and answers the command with an error all the same, so the answer says nothing.
    pub fn resume(&mut self) {
        let _ = self.control.try_command("resume", "");
    }

    /// Returns the Call-ID of the call that [`Phone::dial`] began, once it is up.
    #[track_caller]
    pub fn wait_up_as(&mut self) -> String {
        let up = self.control.wait_for(ANSWER, &["CALL_ESTABLISHED"]);
        up.unwrap_or_else(|| panic!("{}: the call did not come up", self.name)).call
    }

    /// Has the other side joined with that of another call of this user, which has this Call-ID (attended transfer).
    ///
    /// This baresip has no command for it, so the URI that a blind transfer takes carries the Replaces. The tags are not
    /// those of the dialog, which kamari does without: a node knows the dialogs of its own calls only.
    pub fn join(&mut self, user: &str, call_id: &str) {
        let replaces = format!("{call_id}%3Bto-tag%3Dnone%3Bfrom-tag%3Dnone");
        self.control.command("transfer", &format!("sip:{user}@{}?Replaces={replaces}", self.domain));
    }

    /// Has the other side call `user` instead (blind transfer).
    pub fn transfer(&mut self, user: &str) {
        self.control.command("transfer", &format!("sip:{user}@{}", self.domain));
    }

    /// Presses keys (RFC 4733 events), one after the other.
    pub fn dtmf(&mut self, keys: &str) {
        for key in keys.chars() {
            self.control.command("sndcode", &key.to_string());
        }
    }

    /// Sends silence instead of what it has to say.
    pub fn mute(&mut self) {
        self.control.command("mute", "");
    }

    /// `kill -9`: says no BYE, and sends nothing any more.
    pub fn vanish(self) {
        drop(self);
    }

    /// Returns when the phone has recorded `duration` more audio, and returns that piece.
    #[track_caller]
    pub fn listen(&self, duration: Duration) -> Vec<i16> {
        let wanted = (duration.as_secs_f64() * f64::from(super::audio::RATE)) as usize;
        let mut begin = self.recorded().len();
        wait_until(&format!("{} to record {duration:?}", self.name), duration + SOON, || {
            let length = self.recorded().len();
            // Hold begins the recording anew.
            begin = if length < begin { 0 } else { begin };
            length >= begin + wanted
        });
        self.recorded()[begin..begin + wanted].to_vec()
    }

    /// Hangs up, and returns all that was heard.
    #[track_caller]
    pub fn hang_up(mut self) -> Received {
        self.control.command("hangup", "");
        let closed = self.control.wait_for(SOON, &["CALL_CLOSED"]);
        assert!(closed.is_some(), "{} did not hang up within {SOON:?}", self.name);
        Received { samples: self.recorded(), reason: String::new() }
    }

    /// Returns when the other side has hung up, within `limit`, and what was heard until then.
    #[track_caller]
    pub fn wait_hung_up(mut self, limit: Duration) -> Received {
        match self.control.wait_for(limit, &["CALL_CLOSED"]) {
            Some(closed) => Received { samples: self.recorded(), reason: closed.param },
            None => panic!("{} was not hung up on within {limit:?}", self.name),
        }
    }

    /// What has been recorded so far. There is no file before the first packet.
    pub fn recorded(&self) -> Vec<i16> {
        read_wav(&self.directory.join("heard.wav")).unwrap_or_default()
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        // The lab's own end ends it too; ending it here lets a test use the number again.
        let _ = self.script.try_run(&["end", &self.name, "KILL"]);
    }
}
