//! Why a call is hung up, as the caller's phone hears it.

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;

/// A hang-up cause of ITU-T Q.850, 1 to 127.
///
/// On a call that was not answered Asterisk's PJSIP makes the final SIP response of it (tried on 22.10); the constants
/// below say which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Cause(u8);

impl Cause {
    /// 404 Not Found: unallocated number.
    pub const UNALLOCATED: Self = Self(1);
    /// The ordinary end of an answered call (603 Decline before the answer).
    pub const NORMAL: Self = Self(16);
    /// 486 Busy Here.
    pub const BUSY: Self = Self(17);
    /// 408 Request Timeout.
    pub const NO_RESPONSE: Self = Self(18);
    /// 480 Temporarily Unavailable.
    pub const NO_ANSWER: Self = Self(19);
    /// 403 Forbidden.
    pub const REJECTED: Self = Self(21);
    /// 410 Gone.
    pub const NUMBER_CHANGED: Self = Self(22);
    /// 484 Address Incomplete.
    pub const INCOMPLETE: Self = Self(28);
    /// 501 Not Implemented.
    pub const NOT_IMPLEMENTED: Self = Self(29);
    /// 500 Server Internal Error: an app failed. Not 503, since another node would fail it in the same way.
    pub const FAILURE: Self = Self(38);
    /// 503 Service Unavailable: Kamailio tries another node.
    pub const CONGESTION: Self = Self(42);
    /// 488 Not Acceptable Here.
    pub const NOT_ACCEPTABLE: Self = Self(58);

    /// The SIP responses that there is a cause for, with it.
    const SIP: [(u16, Self); 14] = [
        (403, Self::REJECTED),
        (404, Self::UNALLOCATED),
        (408, Self::NO_RESPONSE),
        (410, Self::NUMBER_CHANGED),
        (480, Self::NO_ANSWER),
        (484, Self::INCOMPLETE),
        (486, Self::BUSY),
        (488, Self::NOT_ACCEPTABLE),
        (500, Self::FAILURE),
        (501, Self::NOT_IMPLEMENTED),
        (502, Self(27)),
        (503, Self::CONGESTION),
        (600, Self::BUSY),
        (603, Self::NORMAL),
    ];

    /// A cause by its Q.850 number.
    pub fn new(number: u8) -> Result<Self, Invalid> {
        if (1..=127).contains(&number) {
            return Ok(Self(number));
        }
        Err(Invalid::new("cause", "a Q.850 cause from 1 to 127", number))
    }

    /// The cause that makes Asterisk refuse a call with this SIP status (600 as 486, the nearest).
    pub fn from_sip(status: u16) -> Result<Self, Invalid> {
        Self::SIP.iter().find(|(known, _)| *known == status).map(|(_, cause)| *cause).ok_or_else(|| {
            let expected = "one of 403, 404, 408, 410, 480, 484, 486, 488, 500, 501, 502, 503, 600, 603";
            Invalid::new("sip", expected, status)
        })
    }

    /// The SIP response that Asterisk's PJSIP makes of this cause on a call that was not answered (`hangup_cause2sip` of
    /// `chan_pjsip`); 603 where it has none.
    pub fn sip(self) -> u16 {
        match self.0 {
            1..=3 => 404,
            17 => 486,
            18 => 408,
            19 | 20 | 31 => 480,
            21 => 403,
            22 => 410,
            27 => 502,
            28 => 484,
            29 => 501,
            34 | 42 | 66 => 503,
            38 | 127 => 500,
            58 => 488,
            _ => 603,
        }
    }

    /// The Q.850 number.
    pub fn number(self) -> u8 {
        self.0
    }

    /// The cause of a final SIP response of 400 to 699 that a far end gave: the table of RFC 3398, 8.2.6.1. What the table
    /// leaves to a Warning header (488, 606) is 65, whose response is 488 again; a status that it lacks counts as its
    /// class's `x00`, as RFC 3261, 8.1.3.2 has it.
    pub fn of_response(status: u16) -> Self {
        match status {
            404 | 485 | 604 => Self::UNALLOCATED,
            401..=403 | 407 | 603 => Self::REJECTED,
            405 => Self(63),
            406 | 415 | 501 => Self(79),
            408 | 504 => Self(102),
            410 => Self::NUMBER_CHANGED,
            413 | 414 | 416 | 420 | 421 | 423 | 505 | 513 => Self(127),
            480 => Self::NO_RESPONSE,
            482 | 483 => Self(25),
            484 => Self::INCOMPLETE,
            486 | 600..=699 if status != 606 => Self::BUSY,
            488 | 606 => Self(65),
            502 => Self::FAILURE,
            // 400, 481, 500, 503 of the table, and the rest of their classes.
            _ => Self(41),
        }
    }

    /// The final SIP response for this cause: the table of RFC 3398, 7.2.4.1. A cause that the table lacks counts as the
    /// unspecified one of its class in Q.850 (31, 47, 63, 79, 95, 111, 127). Nothing for 16 (normal clearing), which is no
    /// refusal.
    pub fn response(self) -> Option<u16> {
        Some(match self.0 {
            16 => return None,
            1..=3 | 26 => 404,
            17 => 486,
            18 => 408,
            21 | 55 | 57 | 87 => 403,
            22 | 23 => 410,
            27 => 502,
            28 => 484,
            29 | 79 | 66..=69 | 71..=78 => 501,
            65 | 70 => 488,
            102 => 504,
            // Protocol errors and interworking, unspecified (111, 127) among them.
            96..=127 => 500,
            // Resource unavailable, service or option not available, invalid message.
            32..=64 | 80..=95 => 503,
            // 19, 20 and 31 of the table, and the rest of the normal class.
            _ => 480,
        })
    }

    /// The cause with which a caller is refused when the one whom he wanted refused with this one: it makes Asterisk send
    /// [`Cause::response`], or what is nearest to it. A far end's 503 is 500 to the caller: it says nothing of the servers
    /// on this side, so nobody is to try another of them (RFC 3261, 16.7).
    #[must_use]
    pub fn passed_on(self) -> Self {
        match self.response() {
            None => self,
            Some(503 | 504) => Self::FAILURE,
            Some(status) => Self::from_sip(status).unwrap_or(Self::FAILURE),
        }
    }
}

impl TryFrom<u8> for Cause {
    type Error = Invalid;
    fn try_from(number: u8) -> Result<Self, Invalid> {
        Self::new(number)
    }
}

impl From<Cause> for u8 {
    fn from(cause: Cause) -> Self {
        cause.0
    }
}

#[cfg(test)]
mod tests {
    use super::Cause;

    #[test]
    fn only_causes_that_exist() {
        assert_eq!(Cause::from_sip(404), Ok(Cause::UNALLOCATED));
        assert_eq!(Cause::from_sip(200).expect_err("no refusal").field, "sip");
        for (status, cause) in Cause::SIP {
            assert_eq!(cause.sip(), if status == 600 { 486 } else { status });
        }
        assert_eq!(Cause::new(0).expect_err("no cause").field, "cause");
        assert_eq!(Cause::new(128).expect_err("no cause").field, "cause");
        assert!(Cause::SIP.iter().all(|(_, cause)| Cause::new(cause.number()).is_ok()));
    }

    /// RFC 3398, 8.2.6.1, row by row.
    #[test]
    fn the_causes_of_responses() {
        let table: [(u16, u8); 35] = [
            (400, 41),
            (401, 21),
            (402, 21),
            (403, 21),
            (404, 1),
            (405, 63),
            (406, 79),
            (407, 21),
            (408, 102),
            (410, 22),
            (413, 127),
            (414, 127),
            (415, 79),
            (416, 127),
            (420, 127),
            (421, 127),
            (423, 127),
            (480, 18),
            (481, 41),
            (482, 25),
            (483, 25),
            (484, 28),
            (485, 1),
            (486, 17),
            (488, 65),
            (500, 41),
            (501, 79),
            (502, 38),
            (503, 41),
            (504, 102),
            (505, 127),
            (513, 127),
            (600, 17),
            (603, 21),
            (604, 1),
        ];
        for (status, cause) in table {
            assert_eq!(Cause::of_response(status).number(), cause, "{status}");
        }
        // By class where there is no row.
        for (status, cause) in [(499, 41), (599, 41), (606, 65), (699, 17)] {
            assert_eq!(Cause::of_response(status).number(), cause, "{status}");
        }
    }

    /// RFC 3398, 7.2.4.1, row by row.
    #[test]
    fn the_responses_for_causes() {
        let table: [(u8, u16); 31] = [
            (1, 404),
            (2, 404),
            (3, 404),
            (17, 486),
            (18, 408),
            (19, 480),
            (20, 480),
            (21, 403),
            (22, 410),
            (23, 410),
            (26, 404),
            (27, 502),
            (28, 484),
            (29, 501),
            (31, 480),
            (34, 503),
            (38, 503),
            (41, 503),
            (42, 503),
            (47, 503),
            (55, 403),
            (57, 403),
            (58, 503),
            (65, 488),
            (70, 488),
            (79, 501),
            (87, 403),
            (88, 503),
            (102, 504),
            (111, 500),
            (127, 500),
        ];
        for (cause, status) in table {
            assert_eq!(Cause::new(cause).expect("a cause").response(), Some(status), "{cause}");
        }
        assert_eq!(Cause::NORMAL.response(), None);
    }

    #[test]
    fn a_far_ends_trouble_is_never_taken_for_a_nodes() {
        for number in 1..=127 {
            let cause = Cause::new(number).expect("a cause").passed_on();
            assert!(![34, 42].contains(&cause.number()), "{number} would make Kamailio try another node");
        }
        for status in [403, 404, 410, 484, 486, 488, 501] {
            let passed_on = Cause::of_response(status).passed_on();
            assert_eq!(Cause::from_sip(status), Ok(passed_on), "{status} reaches the caller as it is");
        }
        assert_eq!(Cause::of_response(503).passed_on(), Cause::FAILURE);
    }
}
