//! Device states.

use serde::{Deserialize, Serialize};

use crate::ari::wire::Extra;
use crate::ari::wire::open_enum;

/// Represents the state of a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceState {
    /// Name of the device.
    pub name: String,
    /// Device's state.
    pub state: DeviceStateValue,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

open_enum! {
    /// State of a device.
    pub enum DeviceStateValue {
        /// `NOT_INUSE`.
        NotInUse = "NOT_INUSE",
        /// `INUSE`.
        InUse = "INUSE",
        /// `BUSY`.
        Busy = "BUSY",
        /// `INVALID`.
        Invalid = "INVALID",
        /// `UNAVAILABLE`.
        Unavailable = "UNAVAILABLE",
        /// `RINGING`.
        Ringing = "RINGING",
        /// `RINGINUSE`.
        RingInUse = "RINGINUSE",
        /// `ONHOLD`.
        OnHold = "ONHOLD",
    }
}
