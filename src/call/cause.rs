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
}
