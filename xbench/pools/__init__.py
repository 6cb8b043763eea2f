"""Where units of work can be carried out beside this process; imported only when asked for."""
