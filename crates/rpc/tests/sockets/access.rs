//! Who may call.

use rpc::directory::DirectoryClient;
use rpc::{
    ChannelConfig, ClientTls, GrpcServer, GrpcServerConfig, GrpcServerError, RpcError, Token,
};

use crate::certificates::Authority;
use crate::running::{ANYWHERE, Running, TestDirectory};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

async fn ask(config: &ChannelConfig) -> Result<bool, RpcError> {
    DirectoryClient::new(config)
        .unwrap()
        .is_local("example.org")
        .await
}

#[tokio::test]
async fn only_those_with_the_token_are_answered() {
    let config = GrpcServerConfig {
        token: Some(TOKEN.into()),
        ..GrpcServerConfig::plain(ANYWHERE.parse().unwrap())
    };
    let server = Running::start(&config, TestDirectory::default().service()).await;
    for token in [None, Some(TOKEN.replace('f', "e"))] {
        let token = token.map(|token| Token::new(&token.into()).unwrap());
        let error = ask(&ChannelConfig {
            token,
            ..server.channel()
        })
        .await
        .unwrap_err();
        assert!(matches!(error, RpcError::Refused { .. }), "{error}");
    }
    let token = Some(Token::new(&TOKEN.into()).unwrap());
    assert!(
        ask(&ChannelConfig {
            token,
            ..server.channel()
        })
        .await
        .unwrap()
    );
}

#[tokio::test]
async fn only_those_with_a_certificate_are_answered() {
    let authority = Authority::new();
    let config = GrpcServerConfig {
        tls: Some(authority.server()),
        ..GrpcServerConfig::plain(ANYWHERE.parse().unwrap())
    };
    let server = Running::start(&config, TestDirectory::default().service()).await;
    let with = |tls: ClientTls| ChannelConfig {
        tls: Some(tls),
        ..server.channel()
    };

    let ours = authority.vouch_for("relay.example");
    assert!(
        ask(&with(authority.client(Some(ours.clone()))))
            .await
            .unwrap()
    );

    let other_authority = Authority::new();
    let stranger = other_authority.vouch_for("relay.example");
    let unknown_server = ClientTls {
        authority: other_authority.certificate(),
        ..authority.client(Some(ours.clone()))
    };
    let misnamed_server = ClientTls {
        server_name: Some("elsewhere.example".to_owned()),
        ..authority.client(Some(ours))
    };
    for (what, config) in [
        ("plain text", server.channel()),
        ("no certificate", with(authority.client(None))),
        (
            "a stranger's certificate",
            with(authority.client(Some(stranger))),
        ),
        ("a server that we don't know", with(unknown_server)),
        ("a server of another name", with(misnamed_server)),
    ] {
        let error = ask(&config).await.expect_err(what);
        assert!(
            matches!(error, RpcError::Unreachable { .. }),
            "{what}: {error}"
        );
    }
}

#[tokio::test]
async fn off_loopback_nobody_is_served_without_credentials() {
    let config = GrpcServerConfig::plain("0.0.0.0:0".parse().unwrap());
    let Err(error) = GrpcServer::bind(&config).await else {
        panic!("an open server was started");
    };
    assert!(matches!(error, GrpcServerError::Config { key: "bind", .. }));
    let told = error.to_string();
    assert!(
        told.contains("0.0.0.0:0") && told.contains("token") && told.contains("mTLS"),
        "{told}"
    );
}

#[tokio::test]
async fn a_port_in_use_is_told() {
    let taken = std::net::TcpListener::bind(ANYWHERE).unwrap();
    let config = GrpcServerConfig::plain(taken.local_addr().unwrap());
    let result = GrpcServer::bind(&config).await;
    assert!(matches!(result, Err(GrpcServerError::Bind { .. })));
}
