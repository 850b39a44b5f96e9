"""Tests, in folders by stage; `builders` makes runs, graphs and logs for all of them."""
