"""Pictures of the dashboards, drawn by Grafana's own React components in headless Chromium, without a Grafana server.

    draw          opens the page with a dashboard and Prometheus' answers, and takes the picture
    panels.jsx    the page: title bar, grid, rows
    charts.jsx    what core's panel plugins do around the components of @grafana/ui
    heatmap.jsx   heatmaps, for which @grafana/ui has no component
    frames.js     from Prometheus' answers to Grafana's frames

`npm ci --legacy-peer-deps && npm run build` in this folder installs the components and builds the page's one script.
"""
