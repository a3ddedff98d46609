"""Everything that Prometheus and Grafana are given: rules, dashboards, provisioning. `src` writes what is generated."""
