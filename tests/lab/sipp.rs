//! Calls by SIPp, and what became of each of them.

mod report;

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

use super::{DOMAIN, Lab, Script, wait_until};

pub use report::{PlacedCall, Report};

/// Who ends a call, and how: the scenario files of the same names.
#[derive(Clone, Copy, Debug)]
enum Scenario {
    /// The caller, a while after the answer.
    Call,
    /// The same, and presses keys before.
    Press,
    /// The caller, in step with no other.
    Scattered,
    /// The called side.
    Listen,
    /// The caller, before an answer.
    Cancel,
    /// The far end refuses; `answer`, `refuse` and `announce` wait for calls.
    Answer,
    Refuse,
    Announce,
    Register,
}

impl Scenario {
    fn file(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Press => "press",
            Self::Scattered => "scattered",
            Self::Listen => "listen",
            Self::Cancel => "cancel",
            Self::Answer => "answer",
            Self::Refuse => "refuse",
            Self::Announce => "announce",
            Self::Register => "register",
        }
    }
}

/// Calls to be placed: 1 call, held 1 s, from `caller@example.test` through Kamailio's edge, unless said otherwise.
#[derive(Clone, Debug)]
pub struct Calls {
    script: Script,
    name: String,
    scenario: Scenario,
    user: String,
    domain: String,
    caller: String,
    caller_domain: String,
    password: Option<String>,
    target: SocketAddrV4,
    from: Ipv4Addr,
    rate: f64,
    count: u32,
    hold: Duration,
    keys: String,
}

impl Calls {
    pub(super) fn new(script: &Script, lab: &Lab, user: &str) -> Self {
        let client = lab.next_client();
        Self {
            script: script.clone(),
            name: format!("sipp{client}"),
            scenario: Scenario::Call,
            user: user.to_owned(),
            domain: DOMAIN.to_owned(),
            caller: "caller".to_owned(),
            caller_domain: DOMAIN.to_owned(),
            password: None,
            target: SocketAddrV4::new(lab.edge(), 5060),
            from: lab.client_address(client),
            rate: 10.0,
            count: 1,
            hold: Duration::from_secs(1),
            keys: String::new(),
        }
    }

    /// How many calls in all.
    #[must_use]
    pub fn count(mut self, count: u32) -> Self {
        self.count = count;
        self
    }

    /// New calls per second.
    #[must_use]
    pub fn rate(mut self, per_second: f64) -> Self {
        self.rate = per_second;
        self
    }

    /// The caller hangs up so long after the answer.
    #[must_use]
    pub fn hold(mut self, hold: Duration) -> Self {
        self.scenario = Scenario::Call;
        self.hold = hold;
        self
    }

    /// The caller presses these keys (RFC 4733 events) once he is answered, and hangs up as [`Calls::hold`] says. He is not
    /// asked for a password.
    #[must_use]
    pub fn keys(mut self, keys: &str) -> Self {
        self.scenario = Scenario::Press;
        keys.clone_into(&mut self.keys);
        self
    }

    /// Each caller calls up to a second after his turn, and hangs up 1 to 3 s after the answer, as chance will have it: no call
    /// ends in step with the begin of another.
    #[must_use]
    pub fn scattered(mut self) -> Self {
        self.scenario = Scenario::Scattered;
        self.hold = Duration::from_secs(4);
        self
    }

    /// The caller stays until the other side hangs up.
    #[must_use]
    pub fn until_hung_up(mut self) -> Self {
        self.scenario = Scenario::Listen;
        self
    }

    /// The caller gives up so long after `100 Trying`; an answer before that is a failed call.
    #[must_use]
    pub fn cancel_after(mut self, patience: Duration) -> Self {
        self.scenario = Scenario::Cancel;
        self.hold = patience;
        self
    }

    /// Domain of the called user ([`DOMAIN`] unless said).
    #[must_use]
    pub fn domain(mut self, domain: &str) -> Self {
        domain.clone_into(&mut self.domain);
        self
    }

    /// Who calls: the From user, its domain, and the password in case it is asked for.
    #[must_use]
    pub fn caller(mut self, user: &str, domain: &str, password: &str) -> Self {
        user.clone_into(&mut self.caller);
        domain.clone_into(&mut self.caller_domain);
        self.password = Some(password.to_owned());
        self
    }

    /// Where the INVITE goes (Kamailio's edge unless said).
    #[must_use]
    pub fn to(mut self, target: Ipv4Addr) -> Self {
        self.target = SocketAddrV4::new(target, 5060);
        self
    }

    /// The address that the calls come from (one of their own unless said).
    #[must_use]
    pub fn from(mut self, address: Ipv4Addr) -> Self {
        self.from = address;
        self
    }

    /// Instead of calling: registers the caller at Kamailio, to be reached at this client's address. Calls are taken
    /// by another one `from` the same address, with [`Calls::answering`] or [`Calls::refusing`].
    #[must_use]
    pub fn registering(mut self) -> Self {
        self.scenario = Scenario::Register;
        self
    }

    /// Instead of calling: waits for `count` calls at this client's address, port 5060, answers them, and stays until
    /// the caller hangs up.
    #[must_use]
    pub fn answering(mut self) -> Self {
        self.scenario = Scenario::Answer;
        self
    }

    /// Instead of calling: refuses `count` calls with 486.
    #[must_use]
    pub fn refusing(mut self) -> Self {
        self.scenario = Scenario::Refuse;
        self
    }

    /// Instead of calling: plays 1,000 Hz at full level to whoever calls before any answer (183 Session Progress), and refuses
    /// him with 486 after `time`.
    #[must_use]
    pub fn announcing(mut self, time: Duration) -> Self {
        // One period of G.711's digital milliwatt by A-law, for a second.
        let tone = [0x34, 0x21, 0x21, 0x34, 0xb4, 0xa1, 0xa1, 0xb4].repeat(1_000);
        let file = self.script.run_directory().join("milliwatt.alaw");
        std::fs::write(file, tone).expect("the run directory can be written");
        self.scenario = Scenario::Announce;
        self.hold = time;
        self
    }

    /// The address these calls come from, or where they are awaited.
    pub fn address(&self) -> Ipv4Addr {
        self.from
    }

    /// Places the calls and returns at once.
    #[track_caller]
    pub fn start(self) -> Running {
        let options = self.options();
        let mut arguments = vec!["sipp", &self.name, self.scenario.file()];
        let target = self.target.to_string();
        arguments.push(&target);
        arguments.extend(options.iter().map(String::as_str));
        self.script.run(&arguments);
        let seconds = f64::from(self.count) / self.rate + self.hold.as_secs_f64() + 60.0;
        Running {
            directory: self.script.run_directory().join(&self.name),
            calls: self,
            limit: Duration::from_secs_f64(seconds),
        }
    }

    /// Places the calls and returns when all have ended.
    #[track_caller]
    pub fn run(self) -> Report {
        self.start().wait()
    }

    fn options(&self) -> Vec<String> {
        let mut line = format!(
            "-i {} -p 5060 -s {} -m {} -r {} -d {} -key domain {} -key caller {} -key caller_domain {}",
            self.from,
            self.user,
            self.count,
            self.rate.max(1.0),
            self.hold.as_millis(),
            self.domain,
            self.caller,
            self.caller_domain,
        );
        if matches!(self.scenario, Scenario::Call | Scenario::Press) {
            // How long the caller waits for the other side to hang up before he does.
            let _ = write!(line, " -recv_timeout {}", self.hold.as_millis());
        }
        if self.rate < 1.0 {
            // SIPp's rate is a whole number of calls in a period.
            let _ = write!(line, " -rp {}", (1000.0 / self.rate) as u32);
        }
        if !self.keys.is_empty() {
            let _ = write!(line, " -key keys {}", self.keys);
        }
        if let Some(password) = &self.password {
            let _ = write!(line, " -au {} -ap {password}", self.caller);
        }
        line.split(' ').map(str::to_owned).collect()
    }
}

/// Calls on their way.
#[derive(Debug)]
pub struct Running {
    calls: Calls,
    directory: PathBuf,
    limit: Duration,
}

impl Running {
    /// Returns when all calls have ended; fails when that takes a minute longer than it should.
    #[track_caller]
    pub fn wait(self) -> Report {
        let exit = self.directory.join("exit");
        wait_until(&format!("{} to end", self.calls.name), self.limit, || exit.exists());
        self.read()
    }

    /// What has happened so far, without waiting.
    pub fn so_far(&self) -> Report {
        self.read()
    }

    /// Places no more calls, and returns when those that are up have ended.
    #[track_caller]
    pub fn finish(self) -> Report {
        self.calls.script.run(&["signal", &self.calls.name, "USR1"]);
        self.wait()
    }

    fn read(&self) -> Report {
        Report::read(&self.directory)
    }
}
