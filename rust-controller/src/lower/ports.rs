//! Ports of the node that a pod takes.
//!
//! Source of the rules: the scheduler plugin `NodePorts`, Kubernetes 1.36.

use k8s_openapi::api::core::v1::{Container, ContainerPort, PodSpec};

use super::LowerError;
use crate::model::HostPort;

/// Those of containers and of sidecars, sorted, without repetition. Init containers that end take none.
pub(super) fn host_ports(spec: &PodSpec) -> Result<Vec<HostPort>, LowerError> {
    let mut ports = Vec::new();
    for (index, container) in spec.containers.iter().enumerate() {
        add_ports(&mut ports, container, || format!("spec.containers[{index}]"))?;
    }
    for (index, container) in spec.init_containers.iter().flatten().enumerate() {
        if container.restart_policy.as_deref() == Some("Always") {
            add_ports(&mut ports, container, || format!("spec.initContainers[{index}]"))?;
        }
    }
    ports.sort();
    ports.dedup();
    Ok(ports)
}

fn add_ports(ports: &mut Vec<HostPort>, container: &Container, field: impl Fn() -> String) -> Result<(), LowerError> {
    for (index, raw) in container.ports.iter().flatten().enumerate() {
        if let Some(number) = raw.host_port.filter(|number| *number > 0) {
            ports.push(host_port(raw, number, || format!("{}.ports[{index}]", field()))?);
        }
    }
    Ok(())
}

fn host_port(raw: &ContainerPort, number: i32, field: impl Fn() -> String) -> Result<HostPort, LowerError> {
    let port = u16::try_from(number).map_err(|_| LowerError::Unknown {
        field: format!("{}.hostPort", field()),
        value: number.to_string(),
        known: "1 to 65535",
    })?;
    let protocol = match raw.protocol.as_deref() {
        None | Some("") => "TCP",
        Some(protocol @ ("TCP" | "UDP" | "SCTP")) => protocol,
        Some(other) => {
            return Err(LowerError::Unknown {
                field: format!("{}.protocol", field()),
                value: other.to_owned(),
                known: "TCP, UDP, SCTP",
            });
        }
    };
    let ip = raw.host_ip.as_deref().filter(|ip| !ip.is_empty()).unwrap_or("0.0.0.0");
    Ok(HostPort { protocol: protocol.to_owned(), port, ip: ip.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn lowered(spec: Value) -> Result<Vec<String>, LowerError> {
        let spec: PodSpec = serde_json::from_value(spec).unwrap();
        let printed = |port: HostPort| format!("{} {}:{}", port.protocol, port.ip, port.port);
        host_ports(&spec).map(|ports| ports.into_iter().map(printed).collect())
    }

    #[test]
    fn ports_of_containers_and_sidecars_are_sorted_and_said_once() {
        let ports = json!([
            {"containerPort": 80, "hostPort": 8080, "protocol": "UDP", "hostIP": "10.0.0.1"},
            {"containerPort": 80, "hostPort": 8080, "hostIP": ""},
            {"containerPort": 81, "hostPort": 8080},
            {"containerPort": 82},
            {"containerPort": 83, "hostPort": 0},
        ]);
        let sidecar = json!({"name": "s", "restartPolicy": "Always", "ports": [{"containerPort": 1, "hostPort": 1}]});
        let first = json!({"name": "i", "ports": [{"containerPort": 2, "hostPort": 2}]});
        let spec = json!({"containers": [{"name": "c", "ports": ports}], "initContainers": [sidecar, first]});
        assert_eq!(lowered(spec).unwrap(), ["TCP 0.0.0.0:1", "TCP 0.0.0.0:8080", "UDP 10.0.0.1:8080"]);
    }

    #[test]
    fn ports_that_no_node_has_are_errors_with_their_field() {
        let error =
            |port: Value| lowered(json!({"containers": [{"name": "c", "ports": [port]}]})).unwrap_err().to_string();
        assert_eq!(
            error(json!({"containerPort": 1, "hostPort": 70000})),
            r#"spec.containers[0].ports[0].hostPort: "70000" is not one of 1 to 65535"#
        );
        assert_eq!(
            error(json!({"containerPort": 1, "hostPort": 1, "protocol": "ICMP"})),
            r#"spec.containers[0].ports[0].protocol: "ICMP" is not one of TCP, UDP, SCTP"#
        );
    }
}
