//! Services of a newer release, which answer with values of enums that we don't know: neither a yes nor a no.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proto::delivery::delivery_server::{Delivery, DeliveryServer};
use proto::delivery::{DeliverRequest, DeliverResponse, RecipientOutcome};
use proto::directory::directory_server::{Directory, DirectoryServer};
use proto::directory::{
    AuthenticateRequest, AuthenticateResponse, IsLocalRequest, IsLocalResponse, LookupRequest,
    LookupResponse, MaySendAsRequest, MaySendAsResponse, PostmasterRequest, PostmasterResponse,
};
use rpc::delivery::DeliveryClient;
use rpc::directory::DirectoryClient;
use rpc::{ChannelConfig, RpcError};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use crate::delivery::request;
use crate::running::{ANYWHERE, channel_to, within};

/// No release has had it so far.
const NOVEL: i32 = 99;

#[allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::all,
    reason = "generated code; `proto/` documents it"
)]
mod proto {
    pub(crate) mod delivery {
        tonic::include_proto!("chasqui.delivery.v1");
    }
    pub(crate) mod directory {
        tonic::include_proto!("chasqui.directory.v1");
    }
}

/// Answers the verdicts in turn, to one recipient each, with a status that sounds final.
struct NewerDelivery {
    verdicts: Vec<i32>,
}

#[tonic::async_trait]
impl Delivery for NewerDelivery {
    async fn deliver(
        &self,
        request: Request<Streaming<DeliverRequest>>,
    ) -> Result<Response<DeliverResponse>, Status> {
        let mut requests = request.into_inner();
        let mut header = None;
        while let Some(request) = requests.message().await? {
            header = header.or(request.header);
        }
        let recipients = header.unwrap().recipients.into_iter();
        let outcomes =
            recipients
                .zip(&self.verdicts)
                .map(|(recipient, verdict)| RecipientOutcome {
                    number: recipient.number,
                    verdict: *verdict,
                    status: "5.9.9".to_owned(),
                    ..RecipientOutcome::default()
                });
        let outcomes = outcomes.collect();
        Ok(Response::new(DeliverResponse { outcomes }))
    }
}

#[derive(Default)]
struct NewerDirectory {
    calls: Arc<AtomicUsize>,
}

#[tonic::async_trait]
impl Directory for NewerDirectory {
    async fn lookup(&self, _: Request<LookupRequest>) -> Result<Response<LookupResponse>, Status> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Ok(Response::new(LookupResponse { verdict: NOVEL }))
    }

    async fn authenticate(
        &self,
        request: Request<AuthenticateRequest>,
    ) -> Result<Response<AuthenticateResponse>, Status> {
        Ok(Response::new(AuthenticateResponse {
            verdict: NOVEL,
            account: request.into_inner().login.into_bytes(),
            tenant: 7,
        }))
    }

    async fn is_local(
        &self,
        _: Request<IsLocalRequest>,
    ) -> Result<Response<IsLocalResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }

    async fn postmaster(
        &self,
        _: Request<PostmasterRequest>,
    ) -> Result<Response<PostmasterResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }

    async fn may_send_as(
        &self,
        _: Request<MaySendAsRequest>,
    ) -> Result<Response<MaySendAsResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }
}

/// The way to a server that knows what we don't.
async fn serve(service: Routes) -> ChannelConfig {
    let listener = TcpListener::bind(ANYWHERE).await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = TcpListenerStream::new(listener);
    let server = Server::builder().add_routes(service);
    tokio::spawn(server.serve_with_incoming(connections));
    channel_to(&[address])
}

/// What callers defer upon: trouble of the call, and no outcome for anybody.
#[track_caller]
fn assert_malformed<T: std::fmt::Debug>(answer: Result<T, RpcError>) {
    assert!(
        matches!(answer, Err(RpcError::Malformed { .. })),
        "{answer:?}"
    );
}

#[tokio::test]
async fn an_unknown_verdict_on_a_recipient_decides_nothing() {
    const DELIVERED: i32 = 1;
    for verdicts in [[NOVEL, NOVEL], [DELIVERED, NOVEL], [NOVEL, DELIVERED]] {
        let verdicts = verdicts.to_vec();
        let service = DeliveryServer::new(NewerDelivery { verdicts });
        let client = DeliveryClient::new(&serve(Routes::new(service)).await).unwrap();
        let request = request(b"hello\r\n");
        assert_malformed(within(client.deliver(&request)).await);
    }
}

#[tokio::test]
async fn an_unknown_verdict_on_an_address_or_a_login_is_neither_yes_nor_no() {
    let directory = NewerDirectory::default();
    let calls = Arc::clone(&directory.calls);
    let service = DirectoryServer::new(directory);
    let client = DirectoryClient::new(&serve(Routes::new(service)).await).unwrap();
    let login = "alice@example.org";
    assert_malformed(within(client.authenticate(login, &"sesame".into())).await);
    let mailbox = login.parse().unwrap();
    // Nor is it remembered: the next who is asked may be one of ours.
    for asked in 1..=2 {
        assert_malformed(within(client.lookup(&mailbox)).await);
        assert_eq!(calls.load(Ordering::Relaxed), asked);
    }
}
