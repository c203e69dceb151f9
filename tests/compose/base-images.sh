#!/usr/bin/env bash
# Stand-ins for the images that Dockerfile and docker-compose.yml build on, for where no registry can be reached: made of
# Debian's packages and this machine's Rust toolchain, under the very tags that the two files name. What is there is
# left alone.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly SUITE=bookworm MIRROR=http://deb.debian.org/debian

# The tag under which one of our two files names an image: `tag_of postgres` is postgres:15-bookworm, say.
tag_of() {
  grep -ohE "(FROM|image:) $1:[^ ]+" Dockerfile docker-compose.yml | head -n 1 | cut -d ' ' -f 2 | grep . ||
    { echo "base-images: neither file names an image of $1" >&2; exit 1; }
}

lacks() { ! docker image inspect "$1" >/dev/null 2>&1; }

# The crates in our stand-in for the compiler's image are those of one lock file.
lock() { sha256sum Cargo.lock | cut -c -64; }
is_stale() {
  local made_for
  made_for="$(docker image inspect --format '{{index .Config.Labels "chasqui.stand-in.lock"}}' "$1")"
  [ -n "$made_for" ] && [ "$made_for" != "$(lock)" ]
}

make_debian() {
  local root
  command -v debootstrap >/dev/null || { echo "base-images: install debootstrap" >&2; exit 1; }
  root="$(mktemp -d)"
  debootstrap --variant=minbase "$SUITE" "$root" "$MIRROR" >"$root.log" 2>&1 || { tail -n 20 "$root.log" >&2; exit 1; }
  # The slim image has no manuals either.
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/usr/share/{doc,man,info,locale}/*
  tar --directory "$root" --create . | docker import --change 'CMD ["bash"]' - "$1"
  rm -rf "$root" "$root.log"
}

# make_of_packages TAG NAME: as stand-ins/NAME/Dockerfile says.
make_of_packages() {
  docker build --quiet --network host --build-arg "BASE=$debian" --tag "$1" "tests/compose/stand-ins/$2"
}

# The compiler is this machine's, and so are the crates that it has fetched: inside, cargo needs no network.
make_rust() {
  local compiler cargo_home container
  cargo fetch --locked --quiet
  compiler="$(rustc --print sysroot)" cargo_home="${CARGO_HOME:-$HOME/.cargo}"
  make_of_packages chasqui-stand-in-rust rust
  container="$(docker create chasqui-stand-in-rust)"
  tar --directory "$compiler" --exclude ./share --create . | docker cp - "$container:/usr/local/rust"
  tar --directory "$cargo_home" --create registry/cache registry/index | docker cp - "$container:/usr/local/cargo"
  # Whom this machine trusts, should cargo have to fetch a crate after all.
  docker cp --follow-link /etc/ssl/certs/ca-certificates.crt "$container:/etc/ssl/certs/ca-certificates.crt"
  docker commit --change "LABEL chasqui.stand-in.lock=$(lock)" "$container" "$1"
  docker rm "$container"
}

main() {
  local debian tag name
  debian="$(tag_of debian)"
  if lacks "$debian"; then make_debian "$debian"; fi
  tag="$(tag_of rust)"
  if lacks "$tag" || is_stale "$tag"; then make_rust "$tag"; fi
  for name in postgres haproxy dovecot/dovecot prom/prometheus; do
    tag="$(tag_of "$name")"
    if lacks "$tag"; then make_of_packages "$tag" "${name##*/}"; fi
  done
}

main >/dev/null
