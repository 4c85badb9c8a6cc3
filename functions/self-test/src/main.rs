//! self-test: every quarter of an hour, asks the deployment's own API as a client does. If it does not answer as it
//! should, the run fails, and that raises the function's alarm.

mod probe;

use lambda_runtime::{LambdaEvent, service_fn};
use runtime::telemetry;

use crate::probe::{ApiAddress, Probe};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init()?;
    let probe = &Probe::new()?;
    let handler = |event: LambdaEvent<ApiAddress>| async move {
        let looked = probe.look(&event.payload.url).await;
        if let Err(why) = &looked {
            tracing::error!(%why, "self-test.failed");
        }
        looked.map_err(lambda_runtime::Error::from)
    };
    lambda_runtime::run(service_fn(handler)).await
}
