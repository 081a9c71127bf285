//! `TestClockService`: exists only in a hub that was started with a test clock.

use hansa_proto::v1::{self, test_clock_service_server::TestClockService};
use tonic::Request;

use super::{Answer, Api, ok};
use crate::{convert::timestamp, error::HubError};

#[tonic::async_trait]
impl TestClockService for Api {
    async fn set_clock(
        &self,
        request: Request<v1::SetClockRequest>,
    ) -> Answer<v1::SetClockResponse> {
        self.caller(&request)?.administrator()?;
        let Some(to) = request.into_inner().now else {
            return Err(HubError::field("now", "REQUIRED", "say what the clock shall show").into());
        };
        let Some(to) = hansa_client::time::micros(&to) else {
            return Err(HubError::field(
                "now",
                "OUT_OF_RANGE",
                "an instant of the years 1970-9999",
            )
            .into());
        };
        let now = self.0.sequencer.set_clock(to).await?;
        ok(v1::SetClockResponse {
            now: Some(timestamp(now)),
        })
    }

    async fn get_clock(
        &self,
        _request: Request<v1::GetClockRequest>,
    ) -> Answer<v1::GetClockResponse> {
        self.0.ownership.check()?;
        ok(v1::GetClockResponse {
            now: Some(timestamp(self.0.clock.now_micros())),
        })
    }
}
