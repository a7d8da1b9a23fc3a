//! Callers wait until an agent has time for them.
//!
//! The line is pure (`line`), shared by all who have to do with a queue (`shared`); here it meets a call. Agents are rung by
//! the waiting caller's own task, from the node that he is on, while his music goes on.

mod agent;
mod line;
mod shared;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::{App, Next, Reader, parted};
use crate::call::{Address, AppError, Call, CallError, Cause, DialRequest, Dialled, Kind, Parted, Talk};
use crate::invalid::Invalid;
use crate::media::MediaUri;
pub use agent::QueueAgent;
pub use line::{AgentView, Duty};
use line::{Refused, Rules, Strategy};
use shared::{Queue as Shared, Ticket};
pub use shared::{QueueView, Queues};

/// In an announcement: the caller's place.
const PLACE: &str = "{place}";
/// In an announcement: whole minutes that he will wait.
const MINUTES: &str = "{minutes}";

/// The app `queue`.
///
/// Parameters: `queue`, the queue's name within the tenant; `agents`, users of the tenant who serve from the start; `members`,
/// users who serve once they have logged in; `strategy`: `ring_all`, `longest_idle` or `round_robin`; `ring_s`, `wrap_up_s`,
/// `retry_s`, `handling_s`, `max_wait_s`, `max_length`, `join_empty`; `overflow_then`, the number that the call goes on with
/// when nobody can serve it in time; `music`, `say_place`, `say_wait`, `announce_every_s`, what those who wait hear.
#[derive(Debug)]
pub struct Queue {
    queues: Queues,
    tenant: Arc<str>,
    name: Arc<str>,
    rules: Rules,
    ring: Duration,
    max_wait: Option<Duration>,
    overflow_then: Option<String>,
    sounds: Sounds,
    talk: Talk,
}

/// What those who wait hear.
#[derive(Debug)]
struct Sounds {
    music: Vec<String>,
    say_place: Vec<String>,
    say_wait: Vec<String>,
    every: Option<Duration>,
}

/// What another kamari must know of a caller.
#[derive(Debug, Serialize, Deserialize)]
struct Place {
    since: u64,
    /// What is played to him.
    playback: Option<String>,
    /// With whom he talks.
    agent: Option<Arc<str>>,
}

impl App for Queue {
    const NAME: &'static str = "queue";

    fn build(parameters: &mut Reader<'_>) -> Result<Self, Invalid> {
        let name = parameters.name("queue")?;
        let users = |names: Vec<String>, field: &str| -> Result<Vec<Arc<str>>, Invalid> {
            // The domain is the tenant's own; any is as good to check the user part.
            let check = |name: &String| {
                Address::new(&format!("{name}@example.test"))
                    .map(|_| Arc::from(name.as_str()))
                    .map_err(|_| Invalid::new(field, "users of the tenant, without a domain", name))
            };
            names.iter().map(check).collect()
        };
        let agents = users(parameters.texts("agents")?, "agents")?;
        let members = users(parameters.texts("members")?, "members")?;
        if agents.is_empty() && members.is_empty() {
            return Err(Reader::missing("agents", "at least one user, here or among members"));
        }
        let strategy = match parameters.text("strategy")?.as_deref() {
            None | Some("ring_all") => Strategy::RingAll,
            Some("longest_idle") => Strategy::LongestIdle,
            Some("round_robin") => Strategy::RoundRobin,
            Some(other) => return Err(Invalid::new("strategy", "ring_all, longest_idle or round_robin", other)),
        };
        let rules = Rules {
            agents,
            members,
            strategy,
            wrap_up: parameters.number("wrap_up_s", 0, 3_600)?.unwrap_or(10) * 1_000,
            retry: parameters.number("retry_s", 1, 600)?.unwrap_or(5) * 1_000,
            max_length: parameters.number("max_length", 1, 10_000)?.unwrap_or(100) as usize,
            join_empty: parameters.switch("join_empty")?.unwrap_or(false),
            handling: parameters.number("handling_s", 1, 86_400)?.unwrap_or(180) * 1_000,
        };
        let seconds = |value: Option<u64>| value.map(Duration::from_secs);
        let music = match parameters.prompts("music")? {
            Some(music) if !music.is_empty() => music,
            Some(_) => return Err(Reader::missing("music", "at least one prompt")),
            None => vec![parameters.builtin("music")?],
        };
        let music: Vec<String> = music.iter().map(MediaUri::to_string).collect();
        let said = |said: Option<Vec<String>>, otherwise: &[&str]| {
            said.unwrap_or_else(|| otherwise.iter().map(|&one| one.to_owned()).collect())
        };
        let place = ["sound:queue-thereare", PLACE, "sound:queue-callswaiting"];
        let wait = ["sound:queue-holdtime", MINUTES, "sound:queue-minutes"];
        let numbers = Arc::clone(parameters.numbers());
        Ok(Self {
            queues: parameters.queues().clone(),
            tenant: Arc::clone(parameters.tenant()),
            name,
            rules,
            ring: Duration::from_secs(parameters.number("ring_s", 1, 600)?.unwrap_or(20)),
            max_wait: seconds(parameters.number("max_wait_s", 1, 86_400)?),
            overflow_then: parameters.extension("overflow_then")?,
            talk: Talk {
                music_on_hold: music.clone(),
                transfers_to: Some(Arc::new(move |number| numbers.has(number))),
            },
            sounds: Sounds {
                music,
                say_place: said(parameters.prompts_with("say_place", PLACE)?, &place),
                say_wait: said(parameters.prompts_with("say_wait", MINUTES)?, &wait),
                every: seconds(
                    parameters.number("announce_every_s", 0, 3_600)?.or(Some(30)).filter(|every| *every > 0),
                ),
            },
        })
    }

    fn installed(&self) {
        self.queues.declare(&self.tenant, &self.name, &self.rules);
    }

    async fn run(&self, call: &mut Call) -> Result<Next, AppError> {
        let queue = self.queues.open(&self.tenant, &self.name, &self.rules);
        let saved = call.saved::<Place>(Self::NAME);
        if let Some(Place { since, agent: Some(agent), .. }) = &saved {
            let ticket = queue.resume(call.id(), *since, agent);
            if let Some(parted) = call.resume_connected(&self.talk).await? {
                drop(ticket);
                return parted::go_on(call, parted).await;
            }
        }
        call.answer().await?;
        if let Some(playback) = saved.as_ref().and_then(|place| place.playback.as_ref())
            && let Some(playing) = call.resume_playing(playback, &self.sounds.music).await?
        {
            playing.stop().await?;
        }
        let ticket = match queue.join(call.id(), saved.map(|place| place.since)) {
            Ok(ticket) => ticket,
            Err(refused) => {
                let outcome = if refused == Refused::Full { "full" } else { "empty" };
                return self.overflow(call, &queue, outcome).await;
            }
        };
        let served = self.serve(call, &ticket).await;
        if matches!(served, Err(AppError::Call(CallError::HungUp(_)))) && ticket.outlook().0.is_some() {
            queue.lost("abandoned");
        }
        drop(ticket);
        match served? {
            Some(parted) => parted::go_on(call, parted).await,
            None => self.overflow(call, &queue, "timeout").await,
        }
    }
}

impl Queue {
    /// Lets the caller wait until he has talked with an agent; nothing if that took too long to begin.
    async fn serve(&self, call: &Call, ticket: &Ticket) -> Result<Option<Parted>, AppError> {
        let domain = call.domain().await?;
        let (leg, agent) = {
            let waits = std::pin::pin!(self.wait(call, ticket, &domain));
            let limit = self.max_wait.map(|limit| limit.saturating_sub(ticket.waited()));
            tokio::select! {
                served = waits => served?,
                failed = self.entertain(call, ticket) => return Err(failed.into()),
                () = until(limit) => return Ok(None),
            }
        };
        let place = Place { since: ticket.since(), playback: None, agent: Some(Arc::clone(&agent)) };
        call.save(&place, &[]).await?;
        let parted = call.connect(leg, &self.talk).await?;
        Ok(Some(parted))
    }

    /// Rings agents until one of them answers.
    async fn wait(
        &self,
        call: &Call,
        ticket: &Ticket,
        domain: &str,
    ) -> Result<(crate::call::DialledLeg, Arc<str>), AppError> {
        loop {
            let agents = ticket.offered().await;
            let address = |agent: &Arc<str>| Address::within(agent, domain);
            let targets = agents.iter().map(address).collect::<Result<Vec<_>, _>>().map_err(AppError::other)?;
            let request = DialRequest { ring_timeout: self.ring, ringing: false, ..DialRequest::to(targets) };
            if let Dialled::Answered(leg) = call.dial(&request).await? {
                let agent = agents.into_iter().find(|agent| leg.to().split('@').next() == Some(agent.as_ref()));
                let agent = agent.ok_or(CallError::Misuse("a leg that nobody was rung for"))?;
                ticket.answered(&agent);
                return Ok((leg, agent));
            }
            ticket.declined();
        }
    }

    /// Plays music, and now and then says how things stand. Ends with the call only.
    async fn entertain(&self, call: &Call, ticket: &Ticket) -> CallError {
        let mut next = self.sounds.every.map(|_| Instant::now());
        loop {
            let due = next.is_some_and(|at| at <= Instant::now());
            let media = if due { self.sounds.announcement(ticket) } else { self.sounds.music.clone() };
            if due {
                next = self.sounds.every.map(|every| Instant::now() + every);
            }
            match play(call, ticket, &media, next.filter(|_| !due)).await {
                // A node without the sounds of an announcement must not cost the caller his place.
                Err(CallError::Media(media)) => {
                    tracing::warn!(call = call.id(), media, "an announcement cannot be played");
                }
                Err(error) => return error,
                Ok(()) => {}
            }
        }
    }

    async fn overflow(&self, call: &Call, queue: &Shared, outcome: &'static str) -> Result<Next, AppError> {
        queue.lost(outcome);
        if let Some(number) = &self.overflow_then {
            return Ok(Next::Extension(number.clone()));
        }
        call.hang_up(Cause::NORMAL).await?;
        Ok(Next::Done)
    }
}

/// Plays, until `until` at the longest.
async fn play(call: &Call, ticket: &Ticket, media: &[String], until: Option<Instant>) -> Result<(), CallError> {
    let place = Place { since: ticket.since(), playback: Some(call.new_id(Kind::Playback)), agent: None };
    call.save(&place, &[]).await?;
    let playback = call.start_playing_as(place.playback.as_deref().unwrap_or_default(), media).await?;
    let at = async {
        match until {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        played = playback.finished() => played,
        () = at => playback.stop().await,
    }
}

impl Sounds {
    /// What is said of his place and of the time that he will wait, as far as that can be told.
    fn announcement(&self, ticket: &Ticket) -> Vec<String> {
        let (place, wait) = ticket.outlook();
        let place = place.map(|place| filled(&self.say_place, PLACE, place as u64));
        let wait = wait.map(|wait| filled(&self.say_wait, MINUTES, wait.as_secs().div_ceil(60)));
        let said: Vec<String> = place.into_iter().chain(wait).flatten().collect();
        if said.is_empty() { self.music.clone() } else { said }
    }
}

fn filled(said: &[String], what: &str, number: u64) -> Vec<String> {
    said.iter().map(|one| if one == what { format!("number:{number}") } else { one.clone() }).collect()
}

/// Completes after this time, or never.
async fn until(limit: Option<Duration>) {
    match limit {
        Some(limit) => sleep(limit).await,
        None => std::future::pending().await,
    }
}
