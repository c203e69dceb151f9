//! The domain and the two people of a dev fleet.

use std::fmt::Write as _;

use directory::{Authentication, ChangeError, Directory, DirectoryError};
use rand::distr::{Alphanumeric, SampleString as _};
use secrecy::SecretString;
use smtp::{Domain, Mailbox};
use thiserror::Error;
use zeroize::Zeroizing;

use super::state::{StateError, StateFolder};

pub(crate) const CREDENTIALS: &str = "credentials";

/// The domain of a first start.
const DOMAIN: &str = "chasqui.test";
/// 20 letters and digits are 119 bits, and need no quotes in a shell.
const PASSWORD_LENGTH: usize = 20;

/// Why the accounts are not there.
#[derive(Debug, Error)]
pub(crate) enum AccountsError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(
        "line {line} of {file} is not `address password`: mend it, or remove the file to have new \
         passwords made"
    )]
    Malformed { file: String, line: usize },
    #[error("`{0}` is no domain: choose another with --domain")]
    Domain(String),
    #[error(transparent)]
    Change(#[from] ChangeError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// Someone with a mailbox who can log in.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) mailbox: Mailbox,
    pub(crate) password: Zeroizing<String>,
}

/// The two people, and whether the passwords on file are the ones that let them in.
pub(crate) struct People {
    pub(crate) alice: Person,
    pub(crate) bob: Person,
    pub(crate) can_log_in: bool,
}

/// The file with a line `address password` for each.
pub(crate) struct Credentials(Vec<Person>);

impl Credentials {
    pub(crate) fn read(state: &StateFolder) -> Result<Self, AccountsError> {
        let text = Zeroizing::new(state.read(CREDENTIALS)?.unwrap_or_default());
        let mut people = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            people.push(parse(line).ok_or_else(|| AccountsError::Malformed {
                file: state.shown(CREDENTIALS).display().to_string(),
                line: index + 1,
            })?);
        }
        Ok(Self(people))
    }

    /// The domain asked for, or that of the last start, or the usual one.
    pub(crate) fn domain(&self, wanted: Option<Domain>) -> Result<Domain, AccountsError> {
        let known = || self.0.first()?.mailbox.domain().name().cloned();
        match wanted.or_else(known) {
            Some(domain) => Ok(domain),
            None => Domain::parse(DOMAIN).map_err(|_| AccountsError::Domain(DOMAIN.to_owned())),
        }
    }

    fn password_of(&self, mailbox: &Mailbox) -> Option<Zeroizing<String>> {
        let person = self.0.iter().find(|person| person.mailbox == *mailbox)?;
        Some(person.password.clone())
    }

    fn write(&self, state: &StateFolder) -> Result<(), StateError> {
        let mut text = Zeroizing::new(String::new());
        for person in &self.0 {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{} {}", person.mailbox, person.password.as_str());
        }
        state.write_secret(CREDENTIALS, &text)
    }
}

fn parse(line: &str) -> Option<Person> {
    let (address, password) = line.trim().split_once(char::is_whitespace)?;
    Some(Person {
        mailbox: Mailbox::parse(address).ok()?,
        password: Zeroizing::new(password.trim().to_owned()),
    })
}

/// Makes sure that the domain, alice and bob are there.
pub(crate) async fn provide(
    directory: &Directory,
    domain: &Domain,
    mut credentials: Credentials,
    state: &StateFolder,
) -> Result<People, AccountsError> {
    match directory.add_domain(domain, None).await {
        Ok(_) | Err(ChangeError::DomainExists(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let [alice, bob] = ["alice", "bob"].map(|name| mailbox(name, domain));
    let (alice, alice_can) = provide_person(directory, &mut credentials, alice?).await?;
    let (bob, bob_can) = provide_person(directory, &mut credentials, bob?).await?;
    credentials.write(state)?;
    Ok(People {
        alice,
        bob,
        can_log_in: alice_can && bob_can,
    })
}

fn mailbox(name: &str, domain: &Domain) -> Result<Mailbox, AccountsError> {
    let address = format!("{name}@{domain}");
    Mailbox::parse(&address).map_err(|_| AccountsError::Domain(domain.to_string()))
}

/// Makes sure that someone is there; tells also whether the password on file is right.
async fn provide_person(
    directory: &Directory,
    credentials: &mut Credentials,
    mailbox: Mailbox,
) -> Result<(Person, bool), AccountsError> {
    if let Some(password) = credentials.password_of(&mailbox) {
        let person = Person { mailbox, password };
        let is_let_in = is_let_in(directory, &person).await?;
        return Ok((person, is_let_in));
    }
    let person = with_new_password(directory, mailbox).await?;
    credentials.0.push(person.clone());
    Ok((person, true))
}

/// Whether the password on file is right; an account that is not there is added with it.
async fn is_let_in(directory: &Directory, person: &Person) -> Result<bool, AccountsError> {
    let password = SecretString::from(person.password.as_str());
    let login = person.mailbox.to_string();
    let answer = directory.authenticate(&login, password.clone()).await?;
    if matches!(answer, Authentication::Accepted(_)) {
        return Ok(true);
    }
    match directory.add_account(&person.mailbox, password).await {
        Ok(_) => Ok(true),
        Err(ChangeError::AccountExists(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn with_new_password(
    directory: &Directory,
    mailbox: Mailbox,
) -> Result<Person, AccountsError> {
    let password = Zeroizing::new(Alphanumeric.sample_string(&mut rand::rng(), PASSWORD_LENGTH));
    let secret = SecretString::from(password.as_str());
    match directory.add_account(&mailbox, secret.clone()).await {
        Ok(_) => {}
        Err(ChangeError::AccountExists(_)) => directory.set_password(&mailbox, secret).await?,
        Err(error) => return Err(error.into()),
    }
    Ok(Person { mailbox, password })
}
