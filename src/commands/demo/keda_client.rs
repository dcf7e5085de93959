//! Asks a scaler over its real port, in KEDA's order.

use std::net::SocketAddr;

use tonic::Status;
use tonic::transport::{Channel, Error};

use crate::adapters::grpc::proto::external_scaler_client::ExternalScalerClient;
use crate::adapters::grpc::proto::{GetMetricsRequest, ScaledObjectRef};
use crate::autoscaler::hpa::Reading;
use crate::autoscaler::keda::Answer;

/// One trigger of one ScaledObject.
#[derive(Clone, Debug)]
pub struct KedaClient {
    client: ExternalScalerClient<Channel>,
    object: ScaledObjectRef,
}

impl KedaClient {
    /// Connects to the scaler.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn connect(
        scaler: SocketAddr,
        namespace: &str,
        name: &str,
        metadata: &[(&str, &str)],
    ) -> Result<Self, Error> {
        let client = ExternalScalerClient::connect(format!("http://{scaler}")).await?;
        let own = (&"scalerAddress", &"streamgauge:9090");
        let scaler_metadata = metadata
            .iter()
            .map(|(key, value)| (key, value))
            .chain([own])
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let object = ScaledObjectRef {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            scaler_metadata,
        };
        Ok(Self { client, object })
    }

    /// GetMetricSpec, then GetMetrics for its metric, then IsActive.
    ///
    /// # Errors
    /// The status of the first call that failed: KEDA then has no answer at all.
    pub async fn ask(&mut self) -> Result<Answer, Status> {
        let specs = self
            .client
            .get_metric_spec(self.object.clone())
            .await?
            .into_inner()
            .metric_specs;
        let spec = specs
            .into_iter()
            .next()
            .ok_or_else(|| Status::internal("no metric spec"))?;
        let request = GetMetricsRequest {
            scaled_object_ref: Some(self.object.clone()),
            metric_name: spec.metric_name,
        };
        let values = self
            .client
            .get_metrics(request)
            .await?
            .into_inner()
            .metric_values;
        let value = values
            .into_iter()
            .next()
            .ok_or_else(|| Status::internal("no matching metrics found"))?;
        let active = self
            .client
            .is_active(self.object.clone())
            .await?
            .into_inner()
            .result;
        let reading = Reading::of_wire(
            value.metric_value,
            value.metric_value_float,
            spec.target_size,
            spec.target_size_float,
        );
        Ok(Answer {
            reading: reading.ok_or_else(|| Status::internal("the metric's target is 0"))?,
            active,
        })
    }
}
