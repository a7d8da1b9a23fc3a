//! What happens to one channel.

use super::event;
use crate::ari::model::{Bridge, Channel, Endpoint};
use crate::ari::wire::Extra;

event! {
    /// Notification that a channel has been created.
    pub struct ChannelCreated {
        /// The channel, as it was then.
        pub channel: Channel,
    }
}

event! {
    /// Notification that a channel has been destroyed.
    pub struct ChannelDestroyed {
        /// Integer representation of the cause of the hangup.
        pub cause: i64,
        /// Text representation of the cause of the hangup.
        pub cause_txt: String,
        /// Integer representation of the technology-specific off-nominal cause of the hangup.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub tech_cause: Option<i64>,
        /// The channel, as it was then.
        pub channel: Channel,
    }
}

event! {
    /// Notification of a channel's state change.
    pub struct ChannelStateChange {
        /// The channel, as it was then.
        pub channel: Channel,
    }
}

event! {
    /// DTMF received on a channel. This event is sent when the DTMF ends. There is no notification about the start of
    /// DTMF.
    pub struct ChannelDtmfReceived {
        /// DTMF digit received (0-9, A-E, # or *).
        pub digit: String,
        /// Number of milliseconds DTMF was received.
        pub duration_ms: i64,
        /// The channel on which DTMF was received.
        pub channel: Channel,
    }
}

event! {
    /// Channel changed location in the dialplan.
    pub struct ChannelDialplan {
        /// The channel that changed dialplan location.
        pub channel: Channel,
        /// The application about to be executed.
        pub dialplan_app: String,
        /// The data to be passed to the application.
        pub dialplan_app_data: String,
    }
}

event! {
    /// Channel changed Caller ID.
    pub struct ChannelCallerId {
        /// The integer representation of the Caller Presentation value.
        pub caller_presentation: i64,
        /// The text representation of the Caller Presentation value.
        pub caller_presentation_txt: String,
        /// The channel that changed Caller ID.
        pub channel: Channel,
    }
}

event! {
    /// User-generated event with additional user-defined fields in the object.
    pub struct ChannelUserevent {
        /// The name of the user event.
        pub eventname: String,
        /// A channel that is signaled with the user event.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub channel: Option<Channel>,
        /// A bridge that is signaled with the user event.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub bridge: Option<Bridge>,
        /// A endpoint that is signaled with the user event.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub endpoint: Option<Endpoint>,
        /// Custom Userevent data.
        pub userevent: Extra,
    }
}

event! {
    /// A hangup was requested on the channel.
    pub struct ChannelHangupRequest {
        /// Integer representation of the cause of the hangup.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub cause: Option<i64>,
        /// Integer representation of the technology-specific off-nominal cause of the hangup.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub tech_cause: Option<i64>,
        /// Whether the hangup request was a soft hangup request.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub soft: Option<bool>,
        /// The channel on which the hangup was requested.
        pub channel: Channel,
    }
}

event! {
    /// Channel variable changed.
    pub struct ChannelVarset {
        /// The variable that changed.
        pub variable: String,
        /// The new value of the variable.
        pub value: String,
        /// The channel on which the variable was set. If missing, the variable is a global variable.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub channel: Option<Channel>,
    }
}

event! {
    /// Tone was detected on the channel.
    pub struct ChannelToneDetected {
        /// The channel the tone was detected on.
        pub channel: Channel,
    }
}

event! {
    /// Talking was detected on the channel.
    pub struct ChannelTalkingStarted {
        /// The channel on which talking started.
        pub channel: Channel,
    }
}

event! {
    /// Talking is no longer detected on the channel.
    pub struct ChannelTalkingFinished {
        /// The channel on which talking completed.
        pub channel: Channel,
        /// The length of time, in milliseconds, that talking was detected on the channel.
        pub duration: i64,
    }
}

event! {
    /// A channel initiated a media hold.
    pub struct ChannelHold {
        /// The channel that initiated the hold event.
        pub channel: Channel,
        /// The music on hold class that the initiator requested.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub musicclass: Option<String>,
    }
}

event! {
    /// A channel initiated a media unhold.
    pub struct ChannelUnhold {
        /// The channel that initiated the unhold event.
        pub channel: Channel,
    }
}

event! {
    /// Channel changed Connected Line.
    pub struct ChannelConnectedLine {
        /// The channel whose connected line has changed.
        pub channel: Channel,
    }
}
