//! Answering for the directory.

use std::future::Future;

use secrecy::SecretString;
use smtp::Mailbox;
use tonic::server::NamedService as _;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Response, Status};

use super::{Authentication, Lookup};
use crate::convert;
use crate::proto::directory as proto;
use crate::proto::directory::directory_server::{Directory, DirectoryServer};
use crate::server::{GrpcService, ServiceFailure};

/// Largest question in octets: two addresses, or a login and a long password.
const MAX_QUESTION: usize = 16 * 1_024;

/// The answers of the directory.
pub trait DirectoryService: Send + Sync + 'static {
    /// What an address is.
    fn lookup(
        &self,
        mailbox: &Mailbox,
    ) -> impl Future<Output = Result<Lookup, ServiceFailure>> + Send;

    /// Whether a domain, in lower case or an address literal, is ours.
    fn is_local(&self, domain: &str) -> impl Future<Output = Result<bool, ServiceFailure>> + Send;

    /// Whom `<postmaster>` without a domain means; none while there is no domain.
    fn postmaster(&self) -> impl Future<Output = Result<Option<Mailbox>, ServiceFailure>> + Send;

    /// Whether login and password fit.
    fn authenticate(
        &self,
        login: &str,
        password: SecretString,
    ) -> impl Future<Output = Result<Authentication, ServiceFailure>> + Send;

    /// Whether an account may put an address into its MAIL FROM or header From.
    fn may_send_as(
        &self,
        account: &Mailbox,
        address: &Mailbox,
    ) -> impl Future<Output = Result<bool, ServiceFailure>> + Send;
}

/// Serves a directory: for [`crate::GrpcServer::with`].
pub fn directory_server(service: impl DirectoryService) -> GrpcService {
    let server = DirectoryServer::new(Adapter(service)).max_decoding_message_size(MAX_QUESTION);
    GrpcService::new(DirectoryServer::<()>::NAME, move |routes, context| {
        routes.add_service(InterceptedService::new(server, context.access.clone()));
    })
}

/// Between generated messages and domain types.
struct Adapter<S>(S);

#[tonic::async_trait]
impl<S: DirectoryService> Directory for Adapter<S> {
    async fn lookup(
        &self,
        request: Request<proto::LookupRequest>,
    ) -> Result<Response<proto::LookupResponse>, Status> {
        let mailbox = convert::mailbox("address", &request.into_inner().address)?;
        let verdict = verdict_on_address(self.0.lookup(&mailbox).await?);
        Ok(Response::new(proto::LookupResponse {
            verdict: verdict.into(),
        }))
    }

    async fn is_local(
        &self,
        request: Request<proto::IsLocalRequest>,
    ) -> Result<Response<proto::IsLocalResponse>, Status> {
        let local = self.0.is_local(&request.into_inner().domain).await?;
        Ok(Response::new(proto::IsLocalResponse { local }))
    }

    async fn postmaster(
        &self,
        _request: Request<proto::PostmasterRequest>,
    ) -> Result<Response<proto::PostmasterResponse>, Status> {
        let address = self
            .0
            .postmaster()
            .await?
            .map_or_else(Vec::new, |mailbox| mailbox.to_string().into_bytes());
        Ok(Response::new(proto::PostmasterResponse { address }))
    }

    async fn authenticate(
        &self,
        request: Request<proto::AuthenticateRequest>,
    ) -> Result<Response<proto::AuthenticateResponse>, Status> {
        let proto::AuthenticateRequest { login, password } = request.into_inner();
        let verdict = self.0.authenticate(&login, password.into()).await?;
        Ok(Response::new(verdict_on_login(verdict)))
    }

    async fn may_send_as(
        &self,
        request: Request<proto::MaySendAsRequest>,
    ) -> Result<Response<proto::MaySendAsResponse>, Status> {
        let request = request.into_inner();
        let account = convert::mailbox("account", &request.account)?;
        let address = convert::mailbox("address", &request.address)?;
        let allowed = self.0.may_send_as(&account, &address).await?;
        Ok(Response::new(proto::MaySendAsResponse { allowed }))
    }
}

fn verdict_on_address(lookup: Lookup) -> proto::lookup_response::Verdict {
    use proto::lookup_response::Verdict;
    match lookup {
        Lookup::NotLocal => Verdict::NotLocal,
        Lookup::Unknown => Verdict::Unknown,
        Lookup::Disabled => Verdict::Disabled,
        Lookup::Mailbox => Verdict::Mailbox,
    }
}

fn verdict_on_login(verdict: Authentication) -> proto::AuthenticateResponse {
    use proto::authenticate_response::Verdict;
    match verdict {
        Authentication::Accepted(login) => proto::AuthenticateResponse {
            verdict: Verdict::Accepted.into(),
            account: login.account.to_string().into_bytes(),
            tenant: login.tenant,
        },
        Authentication::Rejected => proto::AuthenticateResponse {
            verdict: Verdict::Rejected.into(),
            account: Vec::new(),
            tenant: 0,
        },
    }
}
