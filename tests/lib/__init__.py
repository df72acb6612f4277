# SPDX-License-Identifier: Apache-2.0
"""Modules that the end-to-end tests and the demo share: a stand-in for Proxmox VE, a real VNC desktop,
the socket activators that spawn proxxy-conn, and a raw WebSocket client."""
