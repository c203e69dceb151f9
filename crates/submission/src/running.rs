//! The running service: its sockets and its tasks.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rpc::GrpcServer;
use rpc::hand_off::HandOff;
use service::config::ListenTls;
use service::wiring::in_memory;
use service::{RunError, Tasks};
use smtp_net::{Budget, Listener, ReloadingTls};
use tokio::time::{MissedTickBehavior, interval};

use crate::config::Config;
use crate::policy::Policy;
use crate::session::{Session, Shared};
use crate::wiring;

/// How often what need not be remembered is dropped.
const TIDY_INTERVAL: Duration = Duration::from_secs(60);

/// A socket for mail clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// The address, with the port that the system chose for port 0.
    pub address: SocketAddr,
    /// When TLS is spoken.
    pub tls: ListenTls,
}

/// A service that takes mail. Dropped, it ends at once: await [`Running::wait`] instead.
#[must_use = "a service that is not waited for ends at once"]
pub struct Running {
    sockets: Vec<Socket>,
    grpc: Option<SocketAddr>,
    tls: ReloadingTls,
    hand_off: HandOff,
    tasks: Tasks,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("sockets", &self.sockets)
            .field("grpc", &self.grpc)
            .finish_non_exhaustive()
    }
}

impl Running {
    pub(crate) fn new(tls: ReloadingTls, hand_off: HandOff, tasks: Tasks) -> Self {
        Self {
            sockets: Vec::new(),
            grpc: None,
            tls,
            hand_off,
            tasks,
        }
    }

    /// The sockets for mail clients, in the order of the configuration.
    #[must_use]
    pub fn sockets(&self) -> &[Socket] {
        &self.sockets
    }

    /// The first socket that speaks TLS at this point.
    #[must_use]
    pub fn address(&self, tls: ListenTls) -> Option<SocketAddr> {
        let socket = self.sockets.iter().find(|socket| socket.tls == tls)?;
        Some(socket.address)
    }

    /// Where `grpc.health.v1` answers.
    #[must_use]
    pub fn grpc_address(&self) -> Option<SocketAddr> {
        self.grpc
    }

    /// The certificate, to be reloaded on request; a change of its files is noticed anyway.
    #[must_use]
    pub fn tls(&self) -> ReloadingTls {
        self.tls.clone()
    }

    /// The way to the relays, to see how it fares.
    #[must_use]
    pub fn hand_off(&self) -> &HandOff {
        &self.hand_off
    }

    /// Returns when the service has ended: after `shutdown`, once every session is gone.
    ///
    /// # Errors
    /// Any [`RunError`], which ends all the rest in good order.
    pub async fn wait(self) -> Result<(), RunError> {
        self.tasks.wait().await
    }

    /// Takes mail on these sockets.
    pub(crate) fn serve(
        &mut self,
        config: &Config,
        listeners: Vec<Listener>,
        shared: &Arc<Shared>,
    ) {
        let session_config = Arc::new(wiring::session(config));
        let budget = Budget::new(
            in_memory(config.limits.content_memory),
            in_memory(config.limits.content_memory_per_client),
        );
        for (section, listener) in config.listen.iter().zip(listeners) {
            self.sockets.push(Socket {
                address: listener.local_addr(),
                tls: section.tls,
            });
            let shared = Arc::clone(shared);
            self.tasks.spawn(listener.serve(
                Arc::clone(&session_config),
                budget.clone(),
                move |_| Session::new(Arc::clone(&shared)),
                self.tasks.stop(),
            ));
        }
    }

    /// Answers for our health.
    pub(crate) fn serve_grpc(&mut self, server: GrpcServer) {
        self.grpc = Some(server.local_addr());
        self.tasks.serve(server);
    }

    /// What has to be done every now and then, and one look at the directory.
    pub(crate) fn keep_up(&mut self, shared: Arc<Shared>) {
        self.tasks.watch(self.tls.clone());
        let stop = self.tasks.stop();
        self.tasks.spawn(async move {
            stop.run_until_cancelled(tidy_up(&shared.policy)).await;
        });
    }
}

async fn tidy_up(policy: &Policy) {
    policy.check_directory().await;
    let mut ticks = interval(TIDY_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        policy.tidy_up();
    }
}
