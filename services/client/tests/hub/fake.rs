//! A hub that decides nothing: it notes what it received, answers each message with its running number, and fails
//! as told. It lives in a runtime of its own, so that it can be killed with all of its connections.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hansa_client::batch::{BatchBuilder, SignedBatch};
use hansa_client::hub::{HubOptions, RetryPolicy};
use hansa_client::keys::SigningKey;
use hansa_client::message::Draft;
use hansa_client::token::{self, KeyOwner, TokenSource, Validation};
use hansa_proto::v1::exchange_service_server::{ExchangeService, ExchangeServiceServer};
use hansa_proto::v1::member_service_server::{MemberService, MemberServiceServer};
use hansa_proto::v1::*;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt as _};

pub(crate) const AUDIENCE: &str = "hub.test";
pub(crate) const MERCHANT: &str = "grocery";
pub(crate) const NOW: i64 = 1_772_000_000_000_000;

/// How the next batch, or call, goes wrong.
pub(crate) enum Fault {
    /// Answered with a status; on a stream, the stream ends with it.
    Status(Status),
    /// On a stream: this batch is refused, the stream goes on.
    Refused(Status),
    /// Never answered.
    Hang,
    /// Answered with one outcome too few.
    TooFew,
    /// On a stream: ended without a word.
    End,
    /// Not at all.
    None,
}

#[derive(Default)]
pub(crate) struct State {
    /// Payloads in the order in which they came.
    pub(crate) received: Vec<Bytes>,
    /// What goes wrong next; nothing when empty.
    pub(crate) faults: VecDeque<Fault>,
    /// Tokens of the calls.
    pub(crate) tokens: Vec<String>,
    /// Numbers of enrolment keys of the calls.
    pub(crate) enrolled: Vec<usize>,
}

pub(crate) struct FakeHub {
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) key: Arc<SigningKey>,
    pub(crate) address: SocketAddr,
    runtime: Option<Runtime>,
}

impl FakeHub {
    pub(crate) fn start() -> Self {
        Self::start_with(None)
    }

    pub(crate) fn start_with(tls: Option<ServerTlsConfig>) -> Self {
        let mut hub = Self {
            state: Arc::default(),
            key: Arc::new(SigningKey::generate().unwrap()),
            address: ([127, 0, 0, 1], 0).into(),
            runtime: None,
        };
        hub.serve(tls);
        hub
    }

    /// Serves at the same address again; keeps what it knew.
    pub(crate) fn serve(&mut self, tls: Option<ServerTlsConfig>) {
        let runtime = Runtime::new().unwrap();
        let listener = std::net::TcpListener::bind(self.address).unwrap();
        listener.set_nonblocking(true).unwrap();
        self.address = listener.local_addr().unwrap();
        let service = Service {
            state: self.state.clone(),
            key: self.key.clone(),
        };
        runtime.spawn(async move {
            let mut server = Server::builder();
            if let Some(tls) = tls {
                server = server.tls_config(tls).unwrap();
            }
            let listener = TcpListener::from_std(listener).unwrap();
            server
                .add_service(ExchangeServiceServer::new(service.clone()))
                .add_service(MemberServiceServer::new(service))
                .serve_with_incoming(TcpListenerStream::new(listener))
                .await
                .unwrap();
        });
        self.runtime = Some(runtime);
    }

    /// Ends the process, as it were: every connection breaks.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    pub(crate) fn will(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state.lock().unwrap().faults.extend(faults);
    }

    pub(crate) fn received(&self) -> Vec<Bytes> {
        self.state.lock().unwrap().received.clone()
    }

    pub(crate) fn tokens(&self) -> Option<Arc<TokenSource>> {
        let clock = Arc::new(|| NOW);
        let source = TokenSource::new(self.key.clone(), MERCHANT, AUDIENCE, clock);
        Some(Arc::new(source))
    }

    pub(crate) fn options(&self) -> HubOptions {
        let mut options = HubOptions::new(format!("http://{}", self.address));
        options.retry = quick();
        options
    }

    /// A batch of messages that is unlike those of every other `n`.
    pub(crate) fn batch(&self, n: u8, messages: u8) -> SignedBatch {
        let mut builder = BatchBuilder::new();
        for m in 0..messages {
            let mut id = [n; 16];
            id[15] = m;
            let draft = Draft::with_id(id, NOW, [1; 16]);
            builder
                .push(&draft.redemption_authorisation(1).unwrap())
                .unwrap();
        }
        builder.sign(&self.key).unwrap()
    }
}

impl Drop for FakeHub {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Retries for tests: patient enough for a slow machine, with short delays.
pub(crate) fn quick() -> RetryPolicy {
    RetryPolicy {
        attempt_timeout: Duration::from_secs(20),
        first_delay: Duration::from_millis(2),
        max_delay: Duration::from_millis(50),
        give_up_after: Duration::from_secs(60),
    }
}

pub(crate) fn refusal(reason: &str) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, "hansa.v1", []);
    details.add_bad_request_violation("messages[3].lane", "at most 64 bytes");
    Status::with_error_details(tonic::Code::InvalidArgument, "two fields", details)
}

#[derive(Clone)]
struct Service {
    state: Arc<Mutex<State>>,
    key: Arc<SigningKey>,
}

impl Service {
    fn authenticate<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let value = request.metadata().get("authorization");
        let token = value
            .and_then(|v| v.to_str().ok()?.strip_prefix("Bearer "))
            .ok_or_else(|| Status::unauthenticated("no token"))?;
        token::verify(token, NOW, &Validation::new(AUDIENCE), |kid| {
            (kid == self.key.key_id()).then(|| KeyOwner {
                key: self.key.verifying_key(),
                issuer: MERCHANT.into(),
            })
        })
        .map_err(|error| Status::unauthenticated(error.to_string()))?;
        self.state.lock().unwrap().tokens.push(token.to_owned());
        Ok(())
    }

    fn take(&self, envelope: Option<Envelope>) -> (usize, Fault) {
        let payload = envelope.unwrap().payload;
        let messages = Batch::decode(payload.clone()).unwrap().messages.len();
        let mut state = self.state.lock().unwrap();
        state.received.push(payload);
        (messages, state.faults.pop_front().unwrap_or(Fault::None))
    }
}

fn answer(messages: usize) -> SubmitBatchResponse {
    let outcomes = (0..messages)
        .map(|n| Outcome {
            code: ResultCode::Accepted.into(),
            points: i64::try_from(n).unwrap(),
            ..Outcome::default()
        })
        .collect();
    SubmitBatchResponse {
        outcomes: Outcomes { outcomes }.encode_to_vec().into(),
        receipt: None,
    }
}

#[tonic::async_trait]
impl ExchangeService for Service {
    async fn submit_batch(
        &self,
        request: Request<SubmitBatchRequest>,
    ) -> Result<Response<SubmitBatchResponse>, Status> {
        self.authenticate(&request)?;
        let (messages, fault) = self.take(request.into_inner().envelope);
        match fault {
            Fault::Status(status) | Fault::Refused(status) => Err(status),
            Fault::Hang => std::future::pending().await,
            Fault::TooFew => Ok(Response::new(answer(messages - 1))),
            Fault::End => Err(Status::cancelled("")),
            Fault::None => Ok(Response::new(answer(messages))),
        }
    }

    type StreamBatchesStream = ReceiverStream<Result<StreamBatchesResponse, Status>>;

    async fn stream_batches(
        &self,
        request: Request<Streaming<StreamBatchesRequest>>,
    ) -> Result<Response<Self::StreamBatchesStream>, Status> {
        self.authenticate(&request)?;
        let mut requests = request.into_inner();
        let (answers, body) = mpsc::channel(1);
        let service = self.clone();
        tokio::spawn(async move {
            while let Ok(Some(request)) = requests.message().await {
                let (messages, fault) = service.take(request.envelope);
                let response = match fault {
                    Fault::Status(status) => {
                        // Nobody may listen any more.
                        let _ = answers.send(Err(status)).await;
                        return;
                    }
                    Fault::Refused(status) => StreamBatchesResponse {
                        batch: None,
                        refusal_status: status.details().to_vec(),
                    },
                    Fault::Hang => std::future::pending().await,
                    Fault::TooFew => StreamBatchesResponse {
                        batch: Some(answer(messages - 1)),
                        refusal_status: vec![],
                    },
                    Fault::End => return,
                    Fault::None => StreamBatchesResponse {
                        batch: Some(answer(messages)),
                        refusal_status: vec![],
                    },
                };
                if answers.send(Ok(response)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(body)))
    }

    async fn get_outcomes(
        &self,
        _: Request<GetOutcomesRequest>,
    ) -> Result<Response<GetOutcomesResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

#[tonic::async_trait]
impl MemberService for Service {
    async fn enrol_members(
        &self,
        request: Request<EnrolMembersRequest>,
    ) -> Result<Response<EnrolMembersResponse>, Status> {
        self.authenticate(&request)?;
        let keys = request.into_inner().enrolment_keys;
        self.state.lock().unwrap().enrolled.push(keys.len());
        // A fake reference: the first 16 bytes of the key.
        let member_references = keys.iter().map(|key| key[..16].to_vec()).collect();
        Ok(Response::new(EnrolMembersResponse { member_references }))
    }

    async fn get_balance(
        &self,
        _: Request<GetBalanceRequest>,
    ) -> Result<Response<GetBalanceResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_lots(
        &self,
        _: Request<ListLotsRequest>,
    ) -> Result<Response<ListLotsResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}
