//! Device states that the application publishes.

use super::operations;
use crate::ari::AriClient;
use crate::ari::error::AriError;
use crate::ari::model::DeviceState;

operations! {
    LIST = GET "/deviceStates" "device_states.list";
    GET = GET "/deviceStates/{deviceName}" "device_states.get";
    UPDATE = PUT "/deviceStates/{deviceName}" "device_states.update";
    DELETE = DELETE "/deviceStates/{deviceName}" "device_states.delete";
}

/// Operations on `/deviceStates`.
#[derive(Debug, Clone, Copy)]
pub struct DeviceStates<'a>(pub(super) &'a AriClient);

impl DeviceStates<'_> {
    /// List all ARI controlled device states.
    pub async fn list(&self) -> Result<Vec<DeviceState>, AriError> {
        self.0.fetch(LIST.at(&[])).await
    }

    /// Retrieve the current state of a device.
    pub async fn get(&self, device_name: &str) -> Result<DeviceState, AriError> {
        self.0.fetch(GET.at(&[device_name])).await
    }

    /// Change the state of a device controlled by ARI. (Note - implicitly creates the device state).
    pub async fn update(&self, device_name: &str, device_state: &str) -> Result<(), AriError> {
        self.0.run(UPDATE.at(&[device_name]).field("deviceState", device_state)).await
    }

    /// Destroy a device-state controlled by ARI.
    pub async fn delete(&self, device_name: &str) -> Result<(), AriError> {
        self.0.run(DELETE.at(&[device_name])).await
    }
}
