//! Builds anew when a migration is added: the list of them is read at compile time.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
