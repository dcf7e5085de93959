//! KEDA's side: asks in its order, tells a hang from an answer.

use std::time::{Duration, Instant};

use streamgauge::adapters::grpc::proto::external_scaler_client::ExternalScalerClient;
use streamgauge::adapters::grpc::proto::{GetMetricsRequest, ScaledObjectRef};
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::patience;
use super::service::Service;

/// Longer than any call may take; KEDA itself sets no deadline.
const HANG: Duration = Duration::from_secs(5);
pub const HEALS_WITHIN: Duration = Duration::from_secs(5);

/// One ScaledObject's trigger.
pub struct Keda {
    client: ExternalScalerClient<Channel>,
    object: ScaledObjectRef,
}

impl Keda {
    pub async fn new(service: &Service, name: &str, metadata: &[(&str, &str)]) -> Self {
        let channel = Channel::from_shared(format!("http://{}", service.grpc)).expect("an address");
        let client = ExternalScalerClient::new(channel.connect().await.expect("a connection"));
        let scaler_metadata = metadata
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        Self {
            client,
            object: ScaledObjectRef {
                name: name.into(),
                namespace: "shop".into(),
                scaler_metadata,
            },
        }
    }

    /// As KEDA names the trigger.
    pub fn object(&self) -> &ScaledObjectRef {
        &self.object
    }

    /// GetMetricSpec must always be answered; then the value and the activity, as KEDA asks.
    pub async fn ask(&mut self) -> Result<(f64, bool), Status> {
        let asked = async {
            let specs = self
                .client
                .get_metric_spec(self.object.clone())
                .await
                .expect("a spec, whatever the source does");
            let metric_name = specs.into_inner().metric_specs.remove(0).metric_name;
            let request = GetMetricsRequest {
                scaled_object_ref: Some(self.object.clone()),
                metric_name,
            };
            let value = self
                .client
                .get_metrics(request)
                .await?
                .into_inner()
                .metric_values[0]
                .metric_value_float;
            Ok((
                value,
                self.client
                    .is_active(self.object.clone())
                    .await?
                    .into_inner()
                    .result,
            ))
        };
        tokio::time::timeout(HANG, asked)
            .await
            .expect("an answer without a hang")
    }

    pub async fn until(
        &mut self,
        what: &str,
        within: Duration,
        wanted: impl Fn(f64, bool) -> bool,
    ) {
        let (started, within) = (Instant::now(), patience(within));
        loop {
            let answer = self.ask().await;
            if answer
                .as_ref()
                .is_ok_and(|(value, active)| wanted(*value, *active))
            {
                return;
            }
            assert!(
                started.elapsed() < within,
                "{what}: not within {within:?}, last {answer:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks all through `time`; every answer must satisfy `fine`.
    pub async fn during(
        &mut self,
        what: &str,
        time: Duration,
        fine: impl Fn(&Result<(f64, bool), Status>) -> bool,
    ) {
        let started = Instant::now();
        while started.elapsed() < time {
            let answer = self.ask().await;
            assert!(
                fine(&answer),
                "{what}, after {:?}: {answer:?}",
                started.elapsed()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// UNAVAILABLE: no number is given.
pub fn unavailable(answer: &Result<(f64, bool), Status>) -> bool {
    matches!(answer, Err(status) if status.code() == Code::Unavailable)
}
