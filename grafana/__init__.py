"""What Prometheus and Grafana are given: rules, dashboards, provisioning. `src` writes the generated files."""
