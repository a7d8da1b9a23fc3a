//! The pool to simulate, as it is written on the command line: `10x100`, `2x50,2x100,2x200`, `9x100,1x100:50`.

use crate::invalid::Invalid;
use std::fmt;
use std::str::FromStr;

/// One node's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeSize {
    /// The capacity that the rules are told, in calls.
    pub configured: u32,
    /// The calls that it really carries.
    pub real: u32,
}

/// All nodes of a simulated pool, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nodes(pub Vec<NodeSize>);

impl Nodes {
    /// The calls that all nodes carry together.
    pub fn slots(&self) -> u32 {
        self.0.iter().map(|node| node.real).sum()
    }
}

impl fmt::Display for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, group) in self.0.chunk_by(|a, b| a == b).enumerate() {
            let NodeSize { configured, real } = group[0];
            write!(f, "{}{}x{configured}", if number > 0 { "," } else { "" }, group.len())?;
            if real != configured {
                write!(f, ":{real}")?;
            }
        }
        Ok(())
    }
}

/// The most nodes, and the largest node, that a simulation takes.
const LIMIT: u32 = 100_000;

impl FromStr for Nodes {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refuse = || {
            Invalid::new(
                "nodes",
                "groups like 10x100 or 2x50,9x100:80 (count x configured capacity, : the real one if it differs)",
                text,
            )
        };
        let number = |digits: &str| match digits.trim().parse::<u32>() {
            Ok(n) if (1..=LIMIT).contains(&n) => Ok(n),
            _ => Err(refuse()),
        };
        let mut nodes = Vec::new();
        for group in text.split(',') {
            let (count, size) = group.split_once('x').ok_or_else(refuse)?;
            let (configured, real) = size.split_once(':').unwrap_or((size, size));
            let size = NodeSize { configured: number(configured)?, real: number(real)? };
            nodes.extend(std::iter::repeat_n(size, number(count)? as usize));
        }
        if nodes.len() > LIMIT as usize {
            return Err(refuse());
        }
        Ok(Self(nodes))
    }
}

#[cfg(test)]
mod tests {
    use super::{NodeSize, Nodes};

    #[test]
    fn reads_groups_and_real_capacities() {
        let nodes: Nodes = "2x50,1x100:70".parse().unwrap();
        let sizes = [(50, 50), (50, 50), (100, 70)].map(|(configured, real)| NodeSize { configured, real });
        assert_eq!(nodes.0, sizes);
        assert_eq!(nodes.slots(), 170);
        assert_eq!(nodes.to_string(), "2x50,1x100:70");
    }

    #[test]
    fn refuses_nonsense_by_name() {
        for text in ["", "10", "0x5", "5x0", "x", "1x2:0", "1x-3", "10x100,", "99999999x1"] {
            assert_eq!(text.parse::<Nodes>().unwrap_err().field, "nodes", "{text}");
        }
    }
}
