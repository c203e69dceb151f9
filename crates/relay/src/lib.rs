//! Chasqui's mail transfer agent: inbound on 25, outbound to every next hop
