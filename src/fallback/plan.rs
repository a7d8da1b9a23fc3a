//! From what a dispatcher lists to what it shall list: the commands, in order. Pure.

use std::fmt;

use super::destination::{Destination, DestinationUri, Use};

/// One destination as Kamailio lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// The URI, letter by letter as Kamailio has it: `dispatcher.remove` compares it so.
    pub(super) uri: String,
    /// Whether an administrator's *disabled* stands on it. Active, inactive and probing are Kamailio's own business.
    pub(super) disabled: bool,
}

/// One change of a dispatcher list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// List it, from the first moment in this state.
    Add(DestinationUri, Use),
    /// Change the state of one that is listed.
    SetState(DestinationUri, Use),
    /// Take every entry with exactly this URI off the list.
    Remove(String),
}

impl Command {
    /// Whether Kamailio rebuilds its whole list for it.
    pub(super) const fn rebuilds(&self) -> bool {
        matches!(self, Self::Add(..) | Self::Remove(_))
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = |wanted: &Use| if *wanted == Use::Active { "active" } else { "disabled" };
        match self {
            Self::Add(uri, wanted) => write!(f, "add {uri} {}", state(wanted)),
            Self::SetState(uri, wanted) => write!(f, "set {uri} {}", state(wanted)),
            Self::Remove(uri) => write!(f, "remove {}", uri.escape_debug()),
        }
    }
}

/// The commands that make the list equal to what is wanted; none when it is, or when nothing is wanted at all.
///
/// What adds capacity comes first and what takes it away last, so that at no moment the list is poorer than both what
/// it was and what it shall be. An entry that stands twice (`dispatcher.add` does not look whether it is there) is
/// taken off and added once.
pub(super) fn plan(wanted: &[Destination], listed: &[Listed]) -> Vec<Command> {
    let wanted = merged(wanted);
    if wanted.is_empty() {
        return Vec::new();
    }
    let (mut add, mut enable, mut disable, mut renew, mut remove) = (vec![], vec![], vec![], vec![], vec![]);
    for destination in &wanted {
        let uri = &destination.uri;
        let found: Vec<&Listed> = listed.iter().filter(|entry| entry.uri.eq_ignore_ascii_case(uri.as_str())).collect();
        match found[..] {
            [] => add.push(Command::Add(uri.clone(), destination.used)),
            [one] => match (one.disabled, destination.used) {
                (true, Use::Active) => enable.push(Command::SetState(uri.clone(), Use::Active)),
                (false, Use::Disabled) => disable.push(Command::SetState(uri.clone(), Use::Disabled)),
                (true, Use::Disabled) | (false, Use::Active) => {}
            },
            _ => {
                renew.extend(distinct(found.iter().map(|entry| entry.uri.as_str())).map(Command::Remove));
                renew.push(Command::Add(uri.clone(), destination.used));
            }
        }
    }
    let stranger = |entry: &&Listed| !wanted.iter().any(|one| entry.uri.eq_ignore_ascii_case(one.uri.as_str()));
    remove.extend(distinct(listed.iter().filter(stranger).map(|entry| entry.uri.as_str())).map(Command::Remove));
    [add, enable, disable, renew, remove].concat()
}

/// Each URI once, in order of URI. Two nodes at one address: it is used when one of them is.
fn merged(wanted: &[Destination]) -> Vec<Destination> {
    let mut sorted = wanted.to_vec();
    sorted.sort_by(|left, right| {
        left.uri.cmp(&right.uri).then((left.used == Use::Disabled).cmp(&(right.used == Use::Disabled)))
    });
    sorted.dedup_by(|later, first| later.uri == first.uri);
    sorted
}

fn distinct<'a>(uris: impl Iterator<Item = &'a str>) -> impl Iterator<Item = String> {
    let mut all: Vec<String> = uris.map(str::to_owned).collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Command, Listed, plan};
    use crate::fallback::{Destination, DestinationUri, Use};

    fn uri(number: u8) -> DestinationUri {
        DestinationUri::new(&format!("sip:ast{number}:5060")).unwrap()
    }

    fn wanted(number: u8, used: Use) -> Destination {
        Destination { uri: uri(number), used }
    }

    fn listed(text: &str, disabled: bool) -> Listed {
        Listed { uri: text.to_owned(), disabled }
    }

    /// What Kamailio makes of a command.
    fn apply(list: &mut Vec<Listed>, command: &Command) {
        match command {
            Command::Add(uri, used) => list.push(listed(uri.as_str(), *used == Use::Disabled)),
            Command::SetState(uri, used) => {
                // The first match only, without regard to case.
                let entry = list.iter_mut().find(|entry| entry.uri.eq_ignore_ascii_case(uri.as_str())).expect("listed");
                entry.disabled = *used == Use::Disabled;
            }
            Command::Remove(text) => {
                let before = list.len();
                list.retain(|entry| entry.uri != *text);
                assert!(list.len() < before, "removed what was not listed");
            }
        }
    }

    #[test]
    fn what_agrees_needs_nothing() {
        let list = [listed("sip:ast1:5060", false), listed("SIP:Ast2:5060", true)];
        assert_eq!(plan(&[wanted(2, Use::Disabled), wanted(1, Use::Active)], &list), vec![]);
    }

    #[test]
    fn an_empty_pool_says_nothing() {
        assert_eq!(plan(&[], &[listed("sip:ast1:5060", false)]), vec![]);
    }

    #[test]
    fn capacity_comes_before_it_goes() {
        let list = [listed("sip:old:5060", false), listed("sip:ast2:5060", true), listed("sip:ast3:5060", false)];
        let want = [wanted(3, Use::Disabled), wanted(1, Use::Active), wanted(2, Use::Active)];
        assert_eq!(
            plan(&want, &list),
            vec![
                Command::Add(uri(1), Use::Active),
                Command::SetState(uri(2), Use::Active),
                Command::SetState(uri(3), Use::Disabled),
                Command::Remove("sip:old:5060".into()),
            ]
        );
    }

    #[test]
    fn two_nodes_at_one_address_are_one_destination() {
        let want = [wanted(1, Use::Disabled), wanted(1, Use::Active)];
        assert_eq!(plan(&want, &[]), vec![Command::Add(uri(1), Use::Active)]);
    }

    fn any_use() -> impl Strategy<Value = Use> {
        prop_oneof![Just(Use::Active), Just(Use::Disabled)]
    }

    proptest! {
        #[test]
        fn the_commands_lead_there_and_never_through_less(
            want in proptest::collection::vec((0u8..6, any_use()), 1..8),
            have in proptest::collection::vec((0u8..6, any::<bool>(), any::<bool>()), 0..8),
        ) {
            let want: Vec<Destination> = want.into_iter().map(|(number, used)| wanted(number, used)).collect();
            let mut list: Vec<Listed> = have
                .into_iter()
                .map(|(number, upper, disabled)| {
                    let text = uri(number).as_str().to_owned();
                    listed(&if upper { text.to_ascii_uppercase() } else { text }, disabled)
                })
                .collect();
            let active = |list: &[Listed]| list.iter().filter(|entry| !entry.disabled).count();
            let twice = list.iter().any(|entry| {
                list.iter().filter(|other| other.uri.eq_ignore_ascii_case(&entry.uri)).count() > 1
            });
            let (mut fewest, before) = (usize::MAX, active(&list));
            let commands = plan(&want, &list);
            for command in &commands {
                apply(&mut list, command);
                fewest = fewest.min(active(&list));
                // Never active in between: what is added disabled is so from its first moment.
                for one in &want {
                    if let Command::Add(added, used) = command
                        && *added == one.uri
                    {
                        let wins = want.iter().any(|other| other.uri == one.uri && other.used == Use::Active);
                        prop_assert_eq!(*used == Use::Active, wins);
                    }
                }
            }
            // There, and once there nothing more to do.
            prop_assert_eq!(plan(&want, &list), vec![]);
            for entry in &list {
                let same: Vec<&Destination> =
                    want.iter().filter(|one| entry.uri.eq_ignore_ascii_case(one.uri.as_str())).collect();
                prop_assert!(!same.is_empty());
                prop_assert_eq!(entry.disabled, same.iter().all(|one| one.used == Use::Disabled));
            }
            if !twice && !commands.is_empty() {
                prop_assert!(fewest >= before.min(active(&list)), "{} < {}, {}", fewest, before, active(&list));
            }
        }
    }
}
