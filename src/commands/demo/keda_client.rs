//! Asks a scaler over its real port, in KEDA's order.

use std::net::SocketAddr;

use tonic::Status;
use tonic::transport::{Channel, Error};

use crate::adapters::grpc::proto::external_scaler_client::ExternalScalerClient;
use crate::adapters::grpc::proto::{GetMetricsRequest, ScaledObjectRef};
use crate::autoscaler::hpa::ExternalReading;
use crate::autoscaler::keda::ScalerAnswer;

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
    pub async fn ask(&mut self) -> Result<ScalerAnswer, Status> {
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
        let reading = ExternalReading::of_wire(
            value.metric_value,
            value.metric_value_float,
            spec.target_size,
            spec.target_size_float,
        );
        Ok(ScalerAnswer {
            reading: reading.ok_or_else(|| Status::internal("the metric's target is 0"))?,
            active,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tonic::{Request, Response};

    use super::*;
    use crate::adapters::grpc::proto::external_scaler_server::{
        ExternalScaler, ExternalScalerServer,
    };
    use crate::adapters::grpc::proto::{
        GetMetricSpecResponse, GetMetricsResponse, IsActiveResponse, MetricSpec, MetricValue,
    };

    type Reply<T> = Result<Response<T>, Status>;
    type Stream<T> = tokio_stream::Empty<Result<T, Status>>;

    /// A scaler that answers the same until told otherwise, and remembers the calls.
    #[derive(Clone, Default)]
    struct Fake(Arc<Mutex<Says>>);

    #[derive(Default)]
    struct Says {
        calls: Vec<String>,
        values: Vec<MetricValue>,
        target: i64,
        active: Option<bool>,
    }

    impl Fake {
        fn say(&self, change: impl FnOnce(&mut Says)) {
            change(&mut self.0.lock().unwrap());
        }

        fn called(&self, what: String) {
            self.say(|says| says.calls.push(what));
        }
    }

    #[tonic::async_trait]
    impl ExternalScaler for Fake {
        type StreamIsActiveStream = Stream<IsActiveResponse>;
        type StreamMetricSpecStream = Stream<GetMetricSpecResponse>;

        async fn is_active(&self, _: Request<ScaledObjectRef>) -> Reply<IsActiveResponse> {
            self.called("IsActive".to_owned());
            let active = self.0.lock().unwrap().active;
            let result = active.ok_or_else(|| Status::unavailable("not known"))?;
            Ok(Response::new(IsActiveResponse { result }))
        }

        async fn get_metric_spec(
            &self,
            request: Request<ScaledObjectRef>,
        ) -> Reply<GetMetricSpecResponse> {
            let object = request.into_inner();
            let group = &object.scaler_metadata["group"];
            self.called(format!("GetMetricSpec {} {group}", object.name));
            let spec = MetricSpec {
                metric_name: "replicas".to_owned(),
                target_size: self.0.lock().unwrap().target,
                target_size_float: 0.0,
            };
            Ok(Response::new(GetMetricSpecResponse {
                metric_specs: vec![spec],
            }))
        }

        async fn get_metrics(
            &self,
            request: Request<GetMetricsRequest>,
        ) -> Reply<GetMetricsResponse> {
            self.called(format!("GetMetrics {}", request.into_inner().metric_name));
            let metric_values = self.0.lock().unwrap().values.clone();
            Ok(Response::new(GetMetricsResponse { metric_values }))
        }

        async fn stream_is_active(
            &self,
            _: Request<ScaledObjectRef>,
        ) -> Reply<Self::StreamIsActiveStream> {
            Err(Status::unimplemented("polled only"))
        }

        async fn stream_metric_spec(
            &self,
            _: Request<ScaledObjectRef>,
        ) -> Reply<Self::StreamMetricSpecStream> {
            Err(Status::unimplemented("polled only"))
        }
    }

    /// A fake that says 7 of target 1 and active, and a client of it.
    async fn connected() -> (Fake, KedaClient) {
        let fake = Fake::default();
        fake.say(|says| {
            says.values = vec![MetricValue {
                metric_name: "replicas".to_owned(),
                metric_value: 7,
                metric_value_float: 6.5,
            }];
            says.target = 1;
            says.active = Some(true);
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tonic::transport::Server::builder()
            .add_service(ExternalScalerServer::new(fake.clone()))
            .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener));
        tokio::spawn(server);
        let client = KedaClient::connect(address, "shop", "worker", &[("group", "billing")]);
        (fake, client.await.unwrap())
    }

    #[tokio::test]
    async fn it_asks_in_keda_s_order_and_reads_the_float() {
        let (fake, mut client) = connected().await;
        let answer = client.ask().await.unwrap();
        let reading = ExternalReading {
            value_milli: 6_500,
            target_milli: 1_000,
        };
        assert_eq!((answer.reading, answer.active), (reading, true));
        let calls = fake.0.lock().unwrap().calls.clone();
        assert_eq!(
            calls,
            [
                "GetMetricSpec worker billing",
                "GetMetrics replicas",
                "IsActive"
            ]
        );
    }

    #[tokio::test]
    async fn without_any_part_of_it_there_is_no_answer_and_afterwards_there_is_again() {
        let (fake, mut client) = connected().await;
        fake.say(|says| says.active = None);
        let failed = client.ask().await.unwrap_err();
        assert_eq!(failed.code(), tonic::Code::Unavailable);
        fake.say(|says| says.active = Some(false));
        assert!(!client.ask().await.unwrap().active);

        fake.say(|says| says.target = 0);
        assert!(client.ask().await.is_err(), "a target of 0");
        fake.say(|says| says.target = 1);
        fake.say(|says| says.values.clear());
        let failed = client.ask().await.unwrap_err();
        assert_eq!(failed.message(), "no matching metrics found");
    }
}
