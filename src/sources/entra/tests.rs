//! Clouds and their audiences.

use super::*;

#[test]
fn every_cloud_has_its_audience() {
    for (cloud, scope) in [
        (Cloud::Public, "https://eventhubs.azure.net/.default"),
        (Cloud::UsGovernment, "https://eventhubs.azure.us/.default"),
        (Cloud::China, "https://eventhubs.azure.cn/.default"),
    ] {
        let identity = Identity {
            kind: IdentityKind::Managed { client_id: None },
            cloud,
            authority_host: None,
            ca_file: None,
        };
        assert_eq!(event_hubs_scope(&identity), scope);
        assert_eq!(blob_scope(&identity), "https://storage.azure.com/.default");
        assert!(credential(&identity).is_ok());
    }
}
